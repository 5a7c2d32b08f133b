"""`unblur run --output webrtc`: every camera on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Literal
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import AwareDatetime, BaseModel

from configs.schema import Web
from stream.interfaces import Source
from stream.metrics import MetricsSnapshot, StageMetrics
from stream.sources.factory import Live
from stream.sources.receiver import PushSource
from stream.sources.recorded import RecordedSource
from stream.sources.status import State
from stream.values import Frame, Image
from stream.webrtc.broadcast import FrameBroadcast
from stream.webrtc.egress import WhepEgress
from stream.webrtc.ingest import WhipIngest
from stream.webrtc.peers import PeerFailure
from stream.webrtc.video_encoder import Codec
from unblur.web.streaming.mjpeg import Mjpeg
from unblur.web.streaming.sse import EventBroadcaster
from unblur.web.streaming.viewer_clients import client_of, mark_browser, size_of
from unblur.web.streaming.webrtc_signaling import Signalling
from unblur.web.transport.access import current_user
from unblur.web.transport.app import Page, application
from unblur.web.transport.openapi import ROOT, Endpoint
from unblur.web.transport.rendering import LINKS, render
from unblur.web.transport.server import Server

_CODECS: Mapping[str, Codec] = {"vp8": "vp8", "h264": "h264"}


class Camera(BaseModel):
    """A camera. What is null is not known of a recording; `whip` is where a guest sends its pictures.

    `fps` pictures a second arrive, `searched_fps` are searched for faces; `delay_p95_s` is how long it takes from a
    picture to whom it shows (95th percentile of the last minute, null where nobody was seen); `samples_dropped` of the
    faces seen were never identified, because there was no time.
    """

    name: str
    state: State | Literal["recording", "ended"]
    whep: str
    whip: str | None = None
    since: AwareDatetime | None = None
    fps: float | None = None
    frame_age_s: float | None = None
    dropped: int | None = None
    reconnects: int | None = None
    last_error: str | None = None
    searched_fps: float | None = None
    delay_p95_s: float | None = None
    samples_dropped: int | None = None


class Cameras(BaseModel):
    """Every camera."""

    cameras: list[Camera]


class LiveView:
    """The live page, and what shows the cameras' pictures on it to whoever may see them. `announcer` is the log that
    tells them the events."""

    name = "live"
    path = "/"

    def __init__(self, settings: Web, sources: Sequence[Source], meter: StageMetrics | None = None) -> None:
        """Those `sources` that are guests send their pictures here; `meter` is the run's."""
        self._settings = settings
        self._meter = meter or StageMetrics()
        self._sources = sources
        self._server = Server(settings.prefix)
        self.announcer = EventBroadcaster(self._server.loop)
        self._screens = {source.camera: FrameBroadcast(self._server.loop) for source in sources}
        self._viewers = WhepEgress(self._screens, settings.codec, settings.viewers)
        self._guests = WhipIngest({source.camera: source for source in sources if isinstance(source, PushSource)})

    def open(self, guard: Middleware, pages: Sequence[Page] = ()) -> None:
        """Let people in whom the guard lets through, to the live page and to `pages`. Raises OutputError if the address
        cannot be had."""
        self._server.open(self._settings.host, self._settings.port, lambda: self._application(guard, pages))

    @property
    def address(self) -> str:
        """Where the page is, once it is open."""
        return self._server.address

    @property
    def viewers(self) -> int:
        """How many pictures are being watched."""
        return len(self._viewers.sessions)

    @property
    def failures(self) -> Sequence[PeerFailure]:
        """The latest WebRTC peers that signaled, and to or from which no picture went; the oldest first."""
        both = [*self._viewers.sessions.failures, *self._guests.sessions.failures]
        return sorted(both, key=lambda each: each.at)

    @property
    def refused(self) -> int:
        """Connections for which there was no room."""
        return self._server.refused

    def show(self, frame: Frame, image: Image) -> None:
        """Put up a camera's picture. Never waits."""
        self._screens[frame.camera].show(image)

    def wants(self, camera: str) -> bool:
        """Whether anybody watches a camera."""
        return self._screens[camera].watched

    def close(self) -> None:
        """See everybody off."""
        self.announcer.close()
        for screen in self._screens.values():
            screen.close()
        self._server.close()

    def routes(self) -> list[web.AbstractRouteDef]:
        """The page, the one that makes a camera of a browser, and the signalling of viewers and guests."""
        return [
            web.get("/", self._page),
            web.get("/send", self._sending),
            web.get(f"{ROOT}/events/stream", self.announcer.stream),
            *Mjpeg(self._viewers.jpegs, self._viewers.sessions.limiter).routes(),
            *Signalling("whep", "viewer", self._viewers.sessions, self._watch).routes(),
            *Signalling("whip", "operator", self._guests.sessions, self._send).routes(),
        ]

    def operations(self) -> list[Endpoint]:
        return [Endpoint("GET", "/cameras", "Every camera, and how it is", self._listed, response_model=Cameras)]

    def _application(self, guard: Middleware, pages: Sequence[Page]) -> web.Application:
        made = application(guard, (self, *pages))
        made.on_shutdown.append(self._see_off)
        return made

    async def _see_off(self, _: web.Application) -> None:
        await self._guests.sessions.close()
        await self._viewers.close()

    async def _watch(self, request: web.Request, camera: str, offer: str) -> tuple[str, str]:
        codec = _CODECS.get(request.query.get("codec", ""))
        return await self._viewers.join(camera, offer, codec, size_of(request), client_of(request))

    async def _send(self, _: web.Request, camera: str, offer: str) -> tuple[str, str]:
        return await self._guests.join(camera, offer)

    async def _listed(self, _: web.Request, __: object) -> Cameras:
        reading = self._meter.read()
        return Cameras(cameras=[camera_info(source, reading) for source in self._sources])

    async def _page(self, request: web.Request) -> web.Response:
        links = request.app[LINKS]
        user = current_user(request)  # nobody, yet, where a script has to show the token
        may_send = user is None or user.may("operator")
        page = render(request, "live", events=dict(links).get("events"), may_send=may_send)
        mark_browser(request, page)
        return page

    async def _sending(self, request: web.Request) -> web.Response:
        return render(
            request, "send_camera", camera=request.query.get("camera", ""), obstacle=self._why_cannot_send(request)
        )

    def _why_cannot_send(self, request: web.Request) -> Literal["viewer", "camera"] | None:
        """Why whoever asks cannot send; None also for somebody whose script has yet to show the token."""
        user, name = current_user(request), request.query.get("camera", "")
        if user is None:
            return None  # nor are they told which cameras there are
        if not user.may("operator"):
            return "viewer"
        return None if any(isinstance(each, PushSource) and each.camera == name for each in self._sources) else "camera"


def camera_info(source: Source, reading: MetricsSnapshot) -> Camera:
    """A camera, how it is and how much of it is searched, and where its picture can be fetched, and sent if it is a
    guest's."""
    path = f"/{quote(source.camera, safe='')}"
    status = _lively(source, reading) if isinstance(source, Live) else {"state": _played(source)}
    whip = f"{path}/whip" if isinstance(source, PushSource) else None
    return Camera(name=source.camera, whep=f"{path}/whep", whip=whip, **status)


def _lively(source: Live, reading: MetricsSnapshot) -> dict[str, object]:
    return asdict(source.status()) | {
        "searched_fps": reading.searched_fps.get(source.camera, 0.0),
        "delay_p95_s": reading.delay_p95_s.get(source.camera),
        "samples_dropped": reading.by_camera.get(("looks dropped", source.camera), 0),
    }


def _played(source: Source) -> Literal["recording", "ended"]:
    return "ended" if isinstance(source, RecordedSource) and source.ended else "recording"
