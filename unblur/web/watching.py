"""`unblur run --output webrtc`: every camera on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from configs.schema import Web
from stream.data import Frame, Image
from stream.guest import Guest
from stream.guests import Guests
from stream.screen import Screen
from stream.source import Live
from stream.stages import Source
from stream.viewers import Codec, Viewers
from unblur.web.announcing import Announcer
from unblur.web.guard import OPEN, guard
from unblur.web.server import Server
from unblur.web.signalling import Signalling

_CODECS: Mapping[str, Codec] = {"vp8": "vp8", "h264": "h264"}
_STATIC = Path(__file__).with_name("static")


class Watching:
    """Serves the cameras' pictures to whoever may see them, from its making until it is closed. `announcer` is the log
    that tells them the events. Raises OutputError if the address cannot be had."""

    def __init__(self, settings: Web, sources: Sequence[Source]) -> None:
        """Those `sources` that are guests send their pictures here."""
        self._settings = settings
        self._sources = sources
        self._screens: dict[str, Screen] = {}
        self._server = Server(settings.host, settings.port, self._application)

    @property
    def address(self) -> str:
        """Where the page is."""
        return self._server.address

    def show(self, frame: Frame, image: Image) -> None:
        """Put up a camera's picture. Never waits."""
        self._screens[frame.camera].show(image)

    def close(self) -> None:
        """See everybody off."""
        self.announcer.close()
        for screen in self._screens.values():
            screen.close()
        self._server.close()

    def _application(self, server: Server) -> web.Application:
        self.announcer = Announcer(server.loop)
        self._screens = {source.camera: Screen(server.loop) for source in self._sources}
        viewers = Viewers(self._screens, self._settings.codec, self._settings.viewers)
        guests = Guests({source.camera: source for source in self._sources if isinstance(source, Guest)})

        async def watch(camera: str, offer: str, query: Mapping[str, str]) -> tuple[str, str]:
            return await viewers.join(camera, offer, _CODECS.get(query.get("codec", "")))

        async def send(camera: str, offer: str, _: Mapping[str, str]) -> tuple[str, str]:
            return await guests.join(camera, offer)

        async def see_off(_: web.Application) -> None:
            await guests.sessions.close()
            await viewers.sessions.close()

        application = web.Application(middlewares=[guard(self._settings.token)])
        application.on_shutdown.append(see_off)
        application.add_routes(
            [
                web.get("/", _page),
                web.get("/api/v1/cameras", self._listed),
                web.get("/api/v1/events/stream", self.announcer.listen),
                web.static(OPEN, _STATIC),
                *Signalling("whep", viewers.sessions, watch).routes(),
                *Signalling("whip", guests.sessions, send).routes(),
            ]
        )
        return application

    async def _listed(self, _: web.Request) -> web.Response:
        return web.json_response({"cameras": [_described(source) for source in self._sources]})


def _described(source: Source) -> dict[str, object]:
    """A camera, how it is, and where its picture can be fetched, and sent if it is a guest's."""
    path = f"/{quote(source.camera, safe='')}"
    described: dict[str, object] = {"name": source.camera, "state": "recording", "whep": f"{path}/whep"}
    if isinstance(source, Live):
        status = asdict(source.status())
        described |= status | {"since": status["since"].isoformat(timespec="milliseconds")}
    if isinstance(source, Guest):
        described["whip"] = f"{path}/whip"
    return described


async def _page(_: web.Request) -> web.StreamResponse:
    return web.FileResponse(_STATIC / "watch.html")
