"""VP8 and H.264 as WebRTC wants them: no picture waits for another, and a key frame comes when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import av
import cv2
import numpy as np
from av import Packet, VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stream.values import Image
from stream.webrtc.broadcast import BroadcastFrame

Codec = Literal["vp8", "h264"]
Size = Literal["full", "grid"]
"""As the camera sends it, or small, to be one among many."""
GRID = (640, 360)
"""Width and height into which a picture of a grid is fitted."""
CLOCK = 90_000
"""Ticks a second of RTP's video clock (RFC 6184, RFC 7741)."""
_TIME_BASE = Fraction(1, CLOCK)
_BITS_PER_PIXEL = 2.7
"""Of bit rate, for a pixel of the picture: 2.5 Mb/s at 1280x720, 0.6 Mb/s at 640x360. aiortc's own 0.5 Mb/s leaves 720p
soft."""
_LEAST_BPS, _MOST_BPS = 300_000, 6_000_000
_KEY_FRAME_EVERY = 300
"""Pictures; sooner only if it is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPicture:
    """A picture as a packet, its pts in ticks of `CLOCK`; `is_key` if a decoder can begin with it."""

    packet: Packet[Any]
    is_key: bool


class PictureEncoder:
    """One codec at one size. Not thread-safe, but any thread may call it."""

    def __init__(self, codec: Codec, size: Size) -> None:
        self._codec, self._size = codec, size
        self._context: VideoCodecContext | None = None

    def encode(self, shown: BroadcastFrame, pts: int, key: bool) -> list[EncodedPicture]:
        """The picture, as a key frame if `key`; empty if the encoder leaves it out. A new shape begins with one."""
        planes = to_planes(shown.image, self._size)
        height, width = planes.shape[0] * 2 // 3, planes.shape[1]
        context = self._context
        if context is None or (context.width, context.height) != (width, height):
            context = self._context = _context(self._codec, width, height)
        frame = VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts, frame.time_base = pts, _TIME_BASE
        frame.pict_type = PictureType.I if key else PictureType.NONE
        return [_timed(packet, pts) for packet in context.encode(frame)]


def to_planes(image: Image, size: Size) -> Image:
    """A picture (BGR, H x W x 3) as I420 (3/2 H x W bytes), fitted into `GRID` if it is for one. Encoders want even
    sides: a last odd row or column is left out."""
    fitted = fit(image, size)
    height, width = fitted.shape[0] // 2 * 2, fitted.shape[1] // 2 * 2
    return np.asarray(cv2.cvtColor(fitted[:height, :width], cv2.COLOR_BGR2YUV_I420), np.uint8)


def fit(image: Image, size: Size) -> Image:
    """The picture, made smaller for a grid if it does not fit into `GRID`, in its own proportions."""
    height, width = image.shape[:2]
    scale = min(GRID[0] / width, GRID[1] / height) if size == "grid" else 1.0
    if scale >= 1:
        return image
    shape = max(2, round(width * scale)), max(2, round(height * scale))
    return np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), np.uint8)


def _timed(packet: Packet[Any], pts: int) -> EncodedPicture:
    """The codec counts time in units of its own choice."""
    timed = Packet(bytes(packet))
    timed.pts, timed.time_base = pts, _TIME_BASE
    return EncodedPicture(timed, packet.is_keyframe)


def _context(codec: Codec, width: int, height: int) -> VideoCodecContext:
    context = av.CodecContext.create({"vp8": "libvpx", "h264": "libx264"}[codec], "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = _TIME_BASE, Fraction(25)
    context.bit_rate = min(_MOST_BPS, max(_LEAST_BPS, round(width * height * _BITS_PER_PIXEL)))
    context.gop_size = _KEY_FRAME_EVERY
    context.thread_count = 1  # pictures of several cameras keep all cores busy
    if codec == "h264":
        context.profile = "Baseline"
        context.options = _H264
    else:
        context.qmin, context.qmax = 2, 56
        context.options = {**_VP8, **dict.fromkeys(("minrate", "maxrate", "bufsize"), str(context.bit_rate))}
    return context


_H264 = {"level": "31", "tune": "zerolatency", "preset": "superfast", "forced-idr": "1"}
_VP8 = {
    "cpu-used": "-8",
    "deadline": "realtime",
    "lag-in-frames": "0",
    "noise-sensitivity": "0",
    "overshoot-pct": "15",
    "undershoot-pct": "100",
    "static-thresh": "1",
}
"""As WebRTC's own encoder sets libvpx; the steadiest rate (minrate, maxrate and a buffer of one second)."""
