"""Degradation by a camera after the lens: lower resolution and compression. For noise see `kernels.add_sensor_noise`.

Images are H x W x 3 BGR uint8 of any size, and the result has the same shape; functions are deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

from stream.values import Image

_ENCODING = {"preset": "veryfast"}


def downsample(image: Image, factor: float) -> Image:
    """Simulate a face `factor` (1 or more) times as far away: area-averaged, then enlarged linearly, as the aligner
    does. Raises ValueError for a smaller factor."""
    if factor < 1:
        raise ValueError(f"resolution is lowered by a factor of at least 1, not {factor}")
    height, width = image.shape[:2]
    size = max(1, round(width / factor)), max(1, round(height / factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def jpeg(image: Image, quality: int) -> Image:
    """Encode as JPEG of this quality (1-100) and decode. Raises ValueError for another quality."""
    if not 1 <= quality <= 100:
        raise ValueError(f"a JPEG quality lies in 1..100, not {quality}")
    _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def h264(image: Image, crf: int) -> Image:
    """Encode as an H.264 key frame of this constant rate factor (0 best, 51 worst) and decode. About 1 ms a face.

    Chroma is subsampled (4:2:0), so that even 0 is lossy. Odd sides are padded by a pixel. Raises ValueError for
    another factor.
    """
    if not 0 <= crf <= 51:
        raise ValueError(f"a constant rate factor lies in 0..51, not {crf}")
    height, width = image.shape[:2]
    even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    # OpenCV's conversion, not FFmpeg's: at its default accuracy that one darkens by two gray levels.
    planes = np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8)
    (decoded,) = _decode(av.VideoFrame.from_ndarray(planes, "yuv420p"), crf)
    restored = cv2.cvtColor(decoded.to_ndarray(), cv2.COLOR_YUV2BGR_I420)
    return np.asarray(restored[:height, :width], np.uint8)


def _decode(frame: av.VideoFrame, crf: int) -> Iterator[av.VideoFrame]:
    encoder = VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuv420p"
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    encoder.options = _ENCODING | {"crf": str(crf)}
    decoder = VideoCodecContext.create("h264", "r")
    decoder.thread_count = 1
    for packet in (*encoder.encode(frame), *encoder.encode(None)):
        yield from decoder.decode(packet)
    yield from decoder.decode(None)
