"""A camera: GStreamer's RTSP server. Run by the system's Python, which has the Debian packages.

    /usr/bin/python3 rtsp_server.py PORT [--film FILE.mp4] [USER PASSWORD]

Prints its port when it listens (PORT 0: any free one). /steady shows 320x240 at 30 a second, /changing alternates
between 320x240 and 480x360, /film plays an H.264 file once to everybody who asks. /rare has a key frame every 20 s,
/slow a picture a second, /udp no other transport, and /slices its parameters before each slice of a key frame, as
GStreamer sends them up to 1.22.
"""

import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

ENCODE = (
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=-1"
)
STEADY = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1"
RARE = (
    "x264enc tune=zerolatency sliced-threads=false speed-preset=ultrafast key-int-max=600 option-string=scenecut=0 "
    "! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1"
)
SLOW = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=1/1"
SLICES = (
    "x264enc tune=zerolatency sliced-threads=true threads=2 speed-preset=ultrafast key-int-max=15 "
    "! rtph264pay name=pay0 pt=96 config-interval=-1"
)
CHANGING = "videotestsrc is-live=true ! capsfilter name=size caps=video/x-raw,width=320,height=240,framerate=30/1"


def alternate(_factory: Any, media: Any) -> None:
    size = media.get_element().get_by_name("size")
    sizes = [(480, 360), (320, 240)]

    def change() -> bool:
        sizes.append(sizes.pop(0))
        width, height = sizes[-1]
        size.set_property("caps", Gst.Caps.from_string(f"video/x-raw,width={width},height={height},framerate=30/1"))
        return True

    GLib.timeout_add(500, change)


def mount(server: Any, path: str, launch: str) -> Any:
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    server.get_mount_points().add_factory(path, factory)
    return factory


def lock(server: Any, factories: list[Any], user: str, password: str) -> None:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    for factory in factories:
        factory.set_permissions(permissions)


def main(port: str, *others: str) -> None:
    film, login = (others[1], others[2:]) if others[:1] == ("--film",) else (None, others)
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    steady = mount(server, "/steady", f"{STEADY} ! {ENCODE}")
    changing = mount(server, "/changing", f"{CHANGING} ! {ENCODE}")
    changing.connect("media-configure", alternate)
    udp = mount(server, "/udp", f"{STEADY} ! {ENCODE}")
    udp.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    factories = [
        steady,
        changing,
        udp,
        mount(server, "/rare", f"{STEADY} ! {RARE}"),
        mount(server, "/slow", f"{SLOW} ! {ENCODE}"),
        mount(server, "/slices", f"{STEADY} ! {SLICES}"),
    ]
    if film:
        factories += [
            mount(server, "/film", f'filesrc location="{film}" ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96')
        ]
    if login:
        lock(server, factories, *login)
    server.attach(None)
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
