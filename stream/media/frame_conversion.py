"""Decoded frames as a player shows them: square pixels, upright, whole pictures, in the colors of an ordinary screen.

Color range and matrix (BT.601, BT.709, BT.2020) are those that the frame states; swscale sees to them. A frame that
states none is taken for BT.601, as FFmpeg does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Literal

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc

from stream.values import Array, Frame, Image

Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise."""
_NEARLY_SQUARE = 0.01
"""Pixels that are this little wider or higher than square are shown as they are: rounding of an encoder's."""
_WIDEST = 8
"""Times as wide as high, or as high as wide: pixels beyond it are a damaged header's."""
_WHITE_NITS = 203.0
"""Luminance of diffuse white in HDR (ITU-R BT.2408-7, 2.2)."""
_HLG_PEAK_NITS = 1000.0
"""The nominal screen for which HLG is converted (ITU-R BT.2100-2, table 5)."""
_KNEE = 0.8
"""Share of diffuse white above which highlights are compressed."""
_DISPLAY_GAMMA = 2.2
_CODES = 1 << 16
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # fmt: skip
"""Linear BT.2020 RGB to linear BT.709 RGB (ITU-R BT.2087-0)."""
_ROTATIONS: dict[int, int] = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def to_image(frame: VideoFrame, pixel_aspect: Fraction | None = None) -> Image:
    """H x W x 3 BGR uint8: with square pixels, mirrored and turned as the frame's display matrix asks, HDR (PQ, HLG)
    brought to the range of a screen. `pixel_aspect` is a pixel's width by its height, None or 0 where unknown."""
    width, height = _square_size(frame.width, frame.height, pixel_aspect)
    if frame.color_trc in {ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67}:
        codes = frame.to_ndarray(format="rgb48le", width=width, height=height, threads=1)
        image = _from_hdr(np.asarray(codes, np.uint16), ColorTrc(frame.color_trc), frame.color_primaries)
    else:
        image = frame.to_ndarray(format="bgr24", width=width, height=height, threads=1).astype(np.uint8, copy=False)
    return _displayed(image, frame)


def rotate(frame: Frame, degrees: Rotation) -> Frame:
    """The frame turned clockwise, as for a camera that hangs upside down."""
    if not degrees:
        return frame
    return replace(frame, image=np.asarray(cv2.rotate(frame.image, _ROTATIONS[degrees]), np.uint8))


class Deinterlacer:
    """Whole pictures from the interlaced ones of a stream (bwdif: one picture for each frame, a frame later); others
    pass through. For one stream and one thread."""

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._form: tuple[int, int, str] | None = None

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """What is ready now: no frame, or one. All frames come out, in order, once `flush` was called."""
        form = (frame.width, frame.height, frame.format.name)
        if self._graph is None and not frame.interlaced_frame:
            return [frame]
        before = self.flush() if self._form != form else []
        if self._graph is None:
            if not frame.interlaced_frame:
                return [*before, frame]
            self._graph, self._form = _bwdif(frame), form
        self._graph.vpush(frame)
        return [*before, *self._ready()]

    def flush(self) -> list[VideoFrame]:
        """What was still held back."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        held = self._ready()
        self._graph = self._form = None
        return held

    def pair(self, frames: Iterable[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
        """All frames of a recording, each with the number it came with."""
        numbers: deque[int] = deque()
        for number, frame in frames:
            numbers.append(number)
            yield from ((numbers.popleft(), each) for each in self.push(frame))
        yield from ((numbers.popleft(), each) for each in self.flush())

    def _ready(self) -> list[VideoFrame]:
        ready: list[VideoFrame] = []
        assert self._graph
        while True:
            try:
                ready.append(self._graph.vpull())
            except (av.BlockingIOError, av.EOFError):
                return ready


def _bwdif(frame: VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 90_000)
    )
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size with square pixels; the shorter side of a pixel grows, so that nothing is lost."""
    if not aspect or not Fraction(1, _WIDEST) <= aspect <= _WIDEST or abs(aspect - 1) < _NEARLY_SQUARE:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _displayed(image: Image, frame: VideoFrame) -> Image:
    """Turned and mirrored by the display matrix (libavutil/display.h: x' = a x + c y, y' = b x + d y), to the nearest
    quarter."""
    if not frame.format.is_planar:
        # PyAV (18.1) frees what describes side data twice, which ends the process: PNG's color profiles are described.
        # No format with packed pixels has a display matrix.
        return image
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, SideData):
        return image
    a, b, _, c, d = (float(number) for number in np.frombuffer(bytes(data), np.int32)[:5])
    if max(abs(a), abs(d)) < max(abs(b), abs(c)):
        image = cv2.transpose(image).astype(np.uint8, copy=False)
        a, d = c, b
    if a < 0 or d < 0:
        image = cv2.flip(image, -1 if a < 0 and d < 0 else int(a < 0)).astype(np.uint8, copy=False)
    return image


def _from_hdr(codes: np.ndarray, transfer: ColorTrc, primaries: int) -> Image:
    """H x W x 3 BGR uint8 of 16-bit RGB in full range, for a screen of BT.709."""
    light = np.take(_linear(transfer), codes)
    if transfer == ColorTrc.ARIB_STD_B67:
        light *= _hlg_system(light)
    if primaries == ColorPrimaries.BT2020:
        light = np.asarray(cv2.transform(light, _TO_709), np.float32)
    peak = np.maximum(np.maximum(light[:, :, 0], light[:, :, 1]), light[:, :, 2])
    bright = peak > _KNEE
    light[bright] *= (_compress(peak[bright]) / peak[bright])[:, None]
    steps = (light.clip(0, 1) * (_CODES - 1)).astype(np.uint16)
    return np.ascontiguousarray(np.take(_shown(), steps)[:, :, ::-1])


def _compress(level: Array) -> Array:
    """Highlights from the knee on, smoothly into what is left up to 1."""
    room = 1 - _KNEE
    return np.asarray(_KNEE + room * (1 - np.exp((_KNEE - level) / room)), np.float32)


def _hlg_system(light: Array) -> Array:
    """The gain from scene to screen: luminance to the power of 0.2 (ITU-R BT.2100-2, table 5, for 1,000 nits)."""
    luminance = light @ np.array([0.2627, 0.678, 0.0593], np.float32) * (_WHITE_NITS / _HLG_PEAK_NITS)
    return np.asarray(luminance.clip(1e-6, None)[..., None] ** 0.2, np.float32)


@cache
def _linear(transfer: ColorTrc) -> Array:
    """Light by 16-bit code, 1 being diffuse white: of the screen for PQ, of the scene for HLG (ITU-R BT.2100-2, tables
    4 and 5)."""
    signal = np.linspace(0, 1, _CODES)
    if transfer == ColorTrc.SMPTE2084:
        root = signal ** (32 / 2523)
        nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (16384 / 2610)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        nits = _HLG_PEAK_NITS * np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return (nits / _WHITE_NITS).astype(np.float32)


@cache
def _shown() -> Image:
    """The screen's code by light in steps of 1 / 65,535."""
    return np.rint(np.linspace(0, 1, _CODES) ** (1 / _DISPLAY_GAMMA) * 255).astype(np.uint8)
