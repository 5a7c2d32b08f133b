"""How near a picture comes to the sharp one of the same size: PSNR, and SSIM (Wang et al., "Image quality assessment:
from error visibility to structural similarity", IEEE TIP 2004).

SSIM is taken over windows of 7 x 7 pixels that lie within the picture, and over the three channels, as scikit-image
does unless told otherwise: a picture has one figure, whichever of the two gives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from stream.values import Array, Image

WINDOW = 7
"""Side in pixels of the windows over which structure is compared."""
_BAND = 256
SAMPLED = 4_000_000
"""Pixels from which structure is compared in bands that lie evenly over the picture, of about so many together: all of
a photo of 49 million pixels took 5 s."""
_BESSEL = WINDOW**2 / (WINDOW**2 - 1)
_C1, _C2 = 0.01**2, 0.03**2
"""What keeps the quotients from 0 / 0, for values in 0..1."""


class Fidelity(NamedTuple):
    """PSNR in dB, infinite for the sharp picture itself, and SSIM in -1..1, 1 for the sharp picture itself."""

    psnr: float
    ssim: float


def fidelity(picture: Image, sharp: Image) -> Fidelity:
    """How near `picture` (H x W x 3 uint8) is to `sharp`. Raises ValueError if their sizes differ, or a side is shorter
    than `WINDOW`."""
    if picture.shape != sharp.shape or min(picture.shape[:2]) < WINDOW:
        raise ValueError(f"two pictures of one size, from {WINDOW} x {WINDOW} on: not {picture.shape}, {sharp.shape}")
    return Fidelity(_psnr(picture, sharp), _ssim(picture, sharp))


def _psnr(picture: Image, sharp: Image) -> float:
    error = sum(int(np.square(cv2.absdiff(*rows), dtype=np.uint16).sum()) for rows in _bands(picture, sharp))
    return 10 * math.log10(255**2 * picture.size / error) if error else math.inf


def _ssim(picture: Image, sharp: Image) -> float:
    bands = list(_bands(picture, sharp, WINDOW - 1))
    every = math.ceil(picture.shape[0] * picture.shape[1] / SAMPLED)
    total, windows = 0.0, 0
    for rows in bands[min(every // 2, len(bands) - 1) :: every]:
        alike = _similarity(*rows)
        total += float(alike.sum(dtype=np.float64))
        windows += alike.size
    return total / windows


def _bands(picture: Image, sharp: Image, overlap: int = 0) -> Iterator[tuple[Image, Image]]:
    """Both pictures in the same bands of rows, so that a large one needs no more memory than a small one."""
    for top in range(0, picture.shape[0] - overlap, _BAND):
        bottom = top + _BAND + overlap
        yield picture[top:bottom], sharp[top:bottom]


def _similarity(one: Image, other: Image) -> Array:
    """Of each window, in each channel."""
    x, y = (np.multiply(picture, 1 / 255, dtype=np.float32) for picture in (one, other))
    mean_x, mean_y = _mean(x), _mean(y)
    spread = _BESSEL * (_mean(x * x) + _mean(y * y) - mean_x**2 - mean_y**2)
    common = _BESSEL * (_mean(x * y) - mean_x * mean_y)
    light = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return np.asarray(light * (2 * common + _C2) / (spread + _C2), np.float32)


def _mean(values: Array) -> Array:
    """Of each window that lies within the picture."""
    margin = WINDOW // 2
    blurred = cv2.blur(values, (WINDOW, WINDOW))
    return np.asarray(blurred[margin:-margin, margin:-margin], np.float32)
