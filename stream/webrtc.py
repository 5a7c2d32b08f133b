"""Cameras over WebRTC: an offer in, an answer out, and the newest picture to each viewer until it goes."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import structlog
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.codecs import h264, vpx
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.sdp import candidate_from_sdp
from av import VideoFrame

from stream.screen import Screen

Codec = Literal["vp8", "h264"]
MOST = 32
"""Viewers at once: each costs an encoder."""
_CLOCK = 90_000
_CONNECTED_WITHIN_S = 20.0
_LEAST_BPS, _USUAL_BPS, _MOST_BPS = 300_000, 2_500_000, 6_000_000
"""aiortc begins with 0.5 Mb/s, at which 720p is soft; viewers' estimates move it between the least and the most."""

_UNUSABLE = (ValueError, LookupError, AttributeError, TypeError, AssertionError, OperationError, InvalidStateError)
"""What aiortc raises, from wherever it is, for an SDP that makes no sense."""

log = structlog.get_logger(__name__)


class OfferError(ValueError):
    """An offer that cannot be answered: no SDP, or none that wants video."""


class CrowdedError(RuntimeError):
    """There are as many viewers as there may be."""


@dataclass(slots=True, eq=False)
class _Viewer:
    camera: str
    connection: RTCPeerConnection
    waiting: asyncio.TimerHandle | None = field(default=None, repr=False)


class Viewers:
    """Everybody who watches, each by an id that cannot be guessed. All methods run on one event loop."""

    def __init__(self, screens: Mapping[str, Screen], codec: Codec = "vp8", most: int = MOST) -> None:
        self._screens, self._codec, self._most = screens, codec, most
        self._viewers: dict[str, _Viewer] = {}
        self._leaving: set[asyncio.Task[bool]] = set()
        _set_bitrates()

    def __len__(self) -> int:
        return len(self._viewers)

    def __contains__(self, session: str) -> bool:
        return session in self._viewers

    def of(self, camera: str) -> int:
        """How many watch this camera."""
        return sum(viewer.camera == camera for viewer in self._viewers.values())

    async def join(self, camera: str, offer: str, codec: Codec | None = None) -> tuple[str, str]:
        """Answer an offer (SDP) to watch `camera`: the session's id, and the answer with all of our candidates.

        Raises KeyError for a camera that there is not, OfferError, CrowdedError.
        """
        screen = self._screens[camera]
        if len(self._viewers) >= self._most:
            raise CrowdedError(f"{self._most} viewers are watching: no more")
        session, viewer = secrets.token_urlsafe(24), _Viewer(camera, RTCPeerConnection(RTCConfiguration(iceServers=[])))
        self._viewers[session] = viewer
        show = _Show(screen)
        try:
            answer = await _answered(viewer.connection, offer, show, codec or self._codec)
        except BaseException:
            show.stop()
            await self.leave(session)
            raise
        self._attend(session, viewer)
        log.info("a viewer came", camera=camera, viewers=len(self))
        return session, answer

    async def add_candidates(self, session: str, fragment: str) -> None:
        """What a viewer learnt of its own addresses later (RFC 8840). Raises KeyError; OfferError if it makes no
        sense."""
        connection = self._viewers[session].connection
        lines = [line.strip() for line in fragment.splitlines()]
        for line in (each for each in lines if each.startswith("a=candidate:") and ".local " not in each):
            try:
                candidate = candidate_from_sdp(line.removeprefix("a=candidate:"))
            except (ValueError, IndexError, AssertionError) as error:
                raise OfferError(f"no candidate: {line[:80]!r}") from error
            candidate.sdpMLineIndex = 0
            await connection.addIceCandidate(candidate)

    async def leave(self, session: str) -> bool:
        """A viewer goes; whether it was there."""
        viewer = self._viewers.pop(session, None)
        if viewer is None:
            return False
        if viewer.waiting:
            viewer.waiting.cancel()
        await viewer.connection.close()
        log.info("a viewer went", camera=viewer.camera, viewers=len(self))
        return True

    async def close(self) -> None:
        """Everybody goes."""
        await asyncio.gather(*(self.leave(session) for session in list(self._viewers)), *self._leaving)

    def _attend(self, session: str, viewer: _Viewer) -> None:
        """See a viewer off that lost its connection, or never makes one."""

        @viewer.connection.on("connectionstatechange")
        def changed() -> None:
            if viewer.connection.connectionState == "connected" and viewer.waiting:
                viewer.waiting.cancel()
            elif viewer.connection.connectionState in {"failed", "closed"}:
                self._see_off(session)

        viewer.waiting = asyncio.get_running_loop().call_later(_CONNECTED_WITHIN_S, self._see_off, session)
        changed()

    def _see_off(self, session: str) -> None:
        task = asyncio.get_running_loop().create_task(self.leave(session))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


class _Show(MediaStreamTrack):
    """A screen as one viewer sees it, from the moment it first asks."""

    kind = "video"

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen, self._seen, self._began_s = screen, 0, time.monotonic()
        screen.enter()

    async def recv(self) -> VideoFrame:
        shown = await self._screen.newer(self._seen)
        if shown is None or self.readyState != "live":
            self.stop()
            raise MediaStreamError
        self._seen = shown.number
        frame = VideoFrame.from_ndarray(shown.planes, "yuv420p")
        frame.pts, frame.time_base = round((shown.when_s - self._began_s) * _CLOCK), Fraction(1, _CLOCK)
        return frame

    def stop(self) -> None:
        if self.readyState == "live":
            self._screen.leave()
        super().stop()


async def _answered(connection: RTCPeerConnection, offer: str, show: _Show, codec: Codec) -> str:
    transceiver = connection.addTransceiver(show, direction="sendonly")
    transceiver.setCodecPreferences(_preferred(codec))
    try:
        await connection.setRemoteDescription(RTCSessionDescription(without_local_names(offer), "offer"))
        if transceiver.mid is None:
            raise OfferError("the offer does not ask for video")
        await connection.setLocalDescription(await connection.createAnswer())
    except _UNUSABLE as error:
        raise OfferError(f"the offer cannot be answered: {error}") from error
    return connection.localDescription.sdp


def _preferred(codec: Codec) -> list[RTCRtpCodecCapability]:
    """This one first, the others after it for whoever does not know it."""
    codecs = RTCRtpSender.getCapabilities("video").codecs
    return sorted(codecs, key=lambda each: each.mimeType.lower() != f"video/{codec}")


def without_local_names(offer: str) -> str:
    """The offer without candidates that only the viewer's own network can resolve: looking them up takes a second, and
    the viewer calls us anyway."""
    lines = offer.splitlines()
    return "".join(f"{line}\r\n" for line in lines if not (line.startswith("a=candidate:") and ".local " in line))


def _set_bitrates() -> None:
    """For all that encode; aiortc has no other way."""
    for module in (vpx, h264):
        vars(module).update(MIN_BITRATE=_LEAST_BPS, DEFAULT_BITRATE=_USUAL_BPS, MAX_BITRATE=_MOST_BPS)
