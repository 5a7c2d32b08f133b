"""GStreamer's webrtcbin, another WebRTC stack than a browser's: watches (WHEP) or sends (WHIP).

Runs in the system's Python: webrtcbin_peer.py whep|whip URL VP8|H264 SECONDS. A viewer ends with its 20th picture, a
sender once its standard input says so; after SECONDS both do, with status 1.
"""

from __future__ import annotations

import sys
import threading
import urllib.request
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

ENOUGH = 20
ENCODERS = {
    "VP8": "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay",
    "H264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! rtph264pay config-interval=-1",
}
H264 = ",packetization-mode=(string)1,profile-level-id=(string)42e01f"


class Peer:
    """One end of a connection, in a pipeline of its own."""

    def __init__(self, kind: str, url: str, codec: str) -> None:
        self.url, self.loop, self.pictures = url, GLib.MainLoop(), 0
        self.kept: list[object] = []
        self.done = False
        caps = f"application/x-rtp,media=video,encoding-name={codec},payload=96,clock-rate=90000"
        if kind == "whip":
            source = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1"
            self.pipeline = Gst.parse_launch(
                f"{source} ! videoconvert ! video/x-raw,format=I420 ! {ENCODERS[codec]} ! {caps} ! "
                "webrtcbin name=w bundle-policy=max-bundle"
            )
            self.peer = self.pipeline.get_by_name("w")
        else:
            self.pipeline = Gst.Pipeline.new("watching")
            self.peer = Gst.ElementFactory.make("webrtcbin", "w")
            self.peer.set_property("bundle-policy", 3)
            self.pipeline.add(self.peer)
            wanted = Gst.Caps.from_string(caps + (H264 if codec == "H264" else ""))
            self.peer.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, wanted)
        self.peer.connect("pad-added", self.decode)
        self.peer.connect("on-negotiation-needed", self.offer)
        self.peer.connect("notify::ice-gathering-state", self.signal)

    def run(self, seconds: int) -> bool:
        self.pipeline.set_state(Gst.State.PLAYING)
        GLib.timeout_add_seconds(seconds, self.loop.quit)
        threading.Thread(target=self.end_when_told, daemon=True).start()
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)
        return self.done

    def end_when_told(self) -> None:
        sys.stdin.readline()
        self.done = True
        self.loop.quit()

    def offer(self, *_: object) -> None:
        def made(promise: Any, *_: object) -> None:
            promise.wait()
            reply = promise.get_reply()
            offer = reply.get_value("offer")
            self.kept.append((promise, reply, offer))
            self.peer.emit("set-local-description", offer, Gst.Promise.new())

        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(made))

    def signal(self, *_: object) -> None:
        gathered = self.peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if gathered:
            offer = self.peer.get_property("local-description").sdp.as_text()
            threading.Thread(target=self.ask, args=(offer,), daemon=True).start()

    def ask(self, offer: str) -> None:
        request = urllib.request.Request(self.url, offer.encode(), {"Content-Type": "application/sdp"})
        answer = urllib.request.urlopen(request).read().decode()
        _, message = GstSdp.SDPMessage.new_from_text(answer)
        kind = GstWebRTC.WebRTCSDPType.ANSWER
        answered = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        self.peer.emit("set-remote-description", answered, Gst.Promise.new())

    def decode(self, _: object, pad: Any) -> None:
        if pad.direction == Gst.PadDirection.SRC:
            decoder = self.add("decodebin")
            pad.link(decoder.get_static_pad("sink"))
            decoder.connect("pad-added", self.show)

    def show(self, _: object, pad: Any) -> None:
        sink = self.add("fakesink", **{"signal-handoffs": True, "sync": False})
        sink.connect("handoff", self.count)
        pad.link(sink.get_static_pad("sink"))

    def add(self, kind: str, **properties: object) -> Any:
        element = Gst.ElementFactory.make(kind, None)
        for name, value in properties.items():
            element.set_property(name, value)
        self.pipeline.add(element)
        element.sync_state_with_parent()
        return element

    def count(self, *_: object) -> None:
        self.pictures += 1
        if self.pictures == ENOUGH:
            self.done = True
            self.loop.quit()


Gst.init(None)
_, kind, url, codec, seconds = sys.argv
sys.exit(not Peer(kind, url, codec).run(int(seconds)))
