"""The live page: all cameras by WebRTC or MJPEG, with events by SSE (`unblur run --output webrtc`)."""

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
from stream.sources.status import SourceState
from stream.values import Frame, Image
from stream.webrtc.broadcast import FrameBroadcast
from stream.webrtc.egress import WhepEgress
from stream.webrtc.ingest import WhipIngest
from stream.webrtc.peers import PeerFailure
from stream.webrtc.video_encoder import Codec
from unblur.web.streaming.mjpeg import Mjpeg
from unblur.web.streaming.sse import EventBroadcaster
from unblur.web.streaming.viewer_clients import identify_client, mark_browser, requested_size
from unblur.web.streaming.webrtc_signaling import Signalling
from unblur.web.transport.access import current_user
from unblur.web.transport.app import Page, build_application
from unblur.web.transport.openapi import ROOT, Endpoint
from unblur.web.transport.rendering import LINKS, render
from unblur.web.transport.server import Server

_CODECS: Mapping[str, Codec] = {"vp8": "vp8", "h264": "h264"}


class CameraStatus(BaseModel):
    """A camera and its status; values that a recording does not have are null. `whip` is the path to which a guest
    sends.

    `fps` frames a second arrive, `searched_fps` are searched for faces; `delay_p95_s` is the delay from a frame to its
    identification (95th percentile of the last minute, null without faces); `samples_dropped` crops were never
    identified, for lack of time.
    """

    name: str
    state: SourceState | Literal["recording", "ended"]
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


class CameraList(BaseModel):
    """Every camera."""

    cameras: list[CameraStatus]


class LiveView:
    """The live page with its web server, the broadcasts of the cameras' frames, and WebRTC signaling. `announcer` is
    the event log that sends the events to the pages."""

    name = "live"
    path = "/"

    def __init__(self, settings: Web, sources: Sequence[Source], meter: StageMetrics | None = None) -> None:
        """`sources` that are guests are fed by WHIP; `meter` is the run's."""
        self._settings = settings
        self._meter = meter or StageMetrics()
        self._sources = sources
        self._server = Server(settings.prefix)
        self.announcer = EventBroadcaster(self._server.loop)
        self._broadcasts = {source.camera: FrameBroadcast(self._server.loop) for source in sources}
        self._viewers = WhepEgress(self._broadcasts, settings.codec, settings.viewers)
        self._guests = WhipIngest({source.camera: source for source in sources if isinstance(source, PushSource)})

    def open(self, guard: Middleware, pages: Sequence[Page] = ()) -> None:
        """Serve the live page and `pages` behind the middleware `guard`. Raises OutputError if the address cannot be
        used."""
        self._server.open(self._settings.host, self._settings.port, lambda: self._application(guard, pages))

    @property
    def address(self) -> str:
        """The URL of the page, once it is open."""
        return self._server.address

    @property
    def viewers(self) -> int:
        """Number of video streams being watched."""
        return len(self._viewers.sessions)

    @property
    def failures(self) -> Sequence[PeerFailure]:
        """The latest WebRTC peers that signaled, but whose video never arrived; oldest first."""
        both = [*self._viewers.sessions.failures, *self._guests.sessions.failures]
        return sorted(both, key=lambda each: each.at)

    @property
    def refused(self) -> int:
        """Number of connections refused for lack of room."""
        return self._server.refused

    def show(self, frame: Frame, image: Image) -> None:
        """Publish the image of a camera's frame. Never waits."""
        self._broadcasts[frame.camera].show(image)

    def wants(self, camera: str) -> bool:
        """Whether a camera has viewers."""
        return self._broadcasts[camera].watched

    def close(self) -> None:
        """Disconnect all clients, and stop the server."""
        self.announcer.close()
        for broadcast in self._broadcasts.values():
            broadcast.close()
        self._server.close()

    def routes(self) -> list[web.AbstractRouteDef]:
        """The live page, the page that sends a browser's camera, the streams, and the signaling of viewers and
        guests."""
        return [
            web.get("/", self._page),
            web.get("/send", self._send_page),
            web.get(f"{ROOT}/events/stream", self.announcer.stream),
            *Mjpeg(self._viewers.jpegs, self._viewers.sessions.limiter).routes(),
            *Signalling("whep", "viewer", self._viewers.sessions, self._join_viewer).routes(),
            *Signalling("whip", "operator", self._guests.sessions, self._join_guest).routes(),
        ]

    def operations(self) -> list[Endpoint]:
        return [Endpoint("GET", "/cameras", "Every camera, and how it is", self._list, response_model=CameraList)]

    def _application(self, guard: Middleware, pages: Sequence[Page]) -> web.Application:
        app = build_application(guard, (self, *pages))
        app.on_shutdown.append(self._close_sessions)
        return app

    async def _close_sessions(self, _: web.Application) -> None:
        await self._guests.sessions.close()
        await self._viewers.close()

    async def _join_viewer(self, request: web.Request, camera: str, offer: str) -> tuple[str, str]:
        codec = _CODECS.get(request.query.get("codec", ""))
        return await self._viewers.join(camera, offer, codec, requested_size(request), identify_client(request))

    async def _join_guest(self, _: web.Request, camera: str, offer: str) -> tuple[str, str]:
        return await self._guests.join(camera, offer)

    async def _list(self, _: web.Request, __: object) -> CameraList:
        snapshot = self._meter.read()
        return CameraList(cameras=[camera_info(source, snapshot) for source in self._sources])

    async def _page(self, request: web.Request) -> web.Response:
        links = request.app[LINKS]
        user = current_user(request)  # None until the page's script has sent the token
        may_send = user is None or user.may("operator")
        page = render(request, "live", events=dict(links).get("events"), may_send=may_send)
        mark_browser(request, page)
        return page

    async def _send_page(self, request: web.Request) -> web.Response:
        return render(
            request, "send_camera", camera=request.query.get("camera", ""), obstacle=self._why_cannot_send(request)
        )

    def _why_cannot_send(self, request: web.Request) -> Literal["viewer", "camera"] | None:
        """Why the user cannot send; None also until the page's script has sent the token."""
        user, name = current_user(request), request.query.get("camera", "")
        if user is None:
            return None  # and does not learn which cameras exist
        if not user.may("operator"):
            return "viewer"
        return None if any(isinstance(each, PushSource) and each.camera == name for each in self._sources) else "camera"


def camera_info(source: Source, snapshot: MetricsSnapshot) -> CameraStatus:
    """A camera's status, its search rate, and the paths for receiving and, for a guest, sending its video."""
    path = f"/{quote(source.camera, safe='')}"
    status = _live_status(source, snapshot) if isinstance(source, Live) else {"state": _recording_state(source)}
    whip = f"{path}/whip" if isinstance(source, PushSource) else None
    return CameraStatus(name=source.camera, whep=f"{path}/whep", whip=whip, **status)


def _live_status(source: Live, snapshot: MetricsSnapshot) -> dict[str, object]:
    return asdict(source.status()) | {
        "searched_fps": snapshot.searched_fps.get(source.camera, 0.0),
        "delay_p95_s": snapshot.delay_p95_s.get(source.camera),
        "samples_dropped": snapshot.by_camera.get(("looks dropped", source.camera), 0),
    }


def _recording_state(source: Source) -> Literal["recording", "ended"]:
    return "ended" if isinstance(source, RecordedSource) and source.ended else "recording"
