"""Cameras over WebRTC: the newest picture to each viewer until it goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

from aiortc import RTCPeerConnection, RTCRtpSender
from aiortc.codecs import h264, vpx
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from av import VideoFrame

from stream.screen import Screen
from stream.webrtc import Sessions

Codec = Literal["vp8", "h264"]
_CLOCK = 90_000
_LEAST_BPS, _USUAL_BPS, _MOST_BPS = 300_000, 2_500_000, 6_000_000
"""aiortc begins with 0.5 Mb/s, at which 720p is soft; viewers' estimates move it between the least and the most."""


class Viewers:
    """Everybody who watches. All methods run on one event loop."""

    def __init__(self, screens: Mapping[str, Screen], codec: Codec = "vp8", most: int = 32) -> None:
        """`most` viewers at once: each costs an encoder."""
        self._screens, self._codec = screens, codec
        self.sessions = Sessions("viewer", most)
        _set_bitrates()

    async def join(self, camera: str, offer: str, codec: Codec | None = None) -> tuple[str, str]:
        """Answer an offer (SDP) to watch `camera`: the session's id, and the answer.

        Raises KeyError for a camera that there is not, OfferError, CrowdedError.
        """
        screen = self._screens[camera]

        def show(connection: RTCPeerConnection) -> None:
            transceiver = connection.addTransceiver(_Show(screen), direction="sendonly")
            transceiver.setCodecPreferences(_preferred(codec or self._codec))

        return await self.sessions.answer(camera, offer, show)


class _Show(MediaStreamTrack):
    """A screen as one viewer sees it, from the first picture it asks for: only who is connected asks, and only who
    asked is told to stop."""

    kind = "video"

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen, self._seen, self._began_s = screen, 0, time.monotonic()
        self._looking = False

    async def recv(self) -> VideoFrame:
        if not self._looking:
            self._looking = True
            self._screen.enter()
        shown = await self._screen.newer(self._seen)
        if shown is None or self.readyState != "live":
            self.stop()
            raise MediaStreamError
        self._seen = shown.number
        frame = VideoFrame.from_ndarray(shown.planes, "yuv420p")
        frame.pts, frame.time_base = round((shown.when_s - self._began_s) * _CLOCK), Fraction(1, _CLOCK)
        return frame

    def stop(self) -> None:
        if self._looking and self.readyState == "live":
            self._screen.leave()
        super().stop()


def _preferred(codec: Codec) -> list[RTCRtpCodecCapability]:
    """This one first, the others after it for whoever does not know it."""
    codecs = RTCRtpSender.getCapabilities("video").codecs
    return sorted(codecs, key=lambda each: each.mimeType.lower() != f"video/{codec}")


def _set_bitrates() -> None:
    """For all that encode; aiortc has no other way."""
    for module in (vpx, h264):
        vars(module).update(MIN_BITRATE=_LEAST_BPS, DEFAULT_BITRATE=_USUAL_BPS, MAX_BITRATE=_MOST_BPS)
