"""Image quality against a sharp reference of the same size: PSNR, and SSIM (Wang et al., "Image quality assessment:
from error visibility to structural similarity", IEEE TIP 2004).

SSIM is the mean over all 7 x 7 windows inside the image and over the three channels, as in scikit-image with its
defaults: both give the same number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from stream.values import Array, Image

WINDOW = 7
"""Side in pixels of the windows of SSIM."""
_BAND = 256
SAMPLED = 4_000_000
"""Pixels above which SSIM is computed on evenly spaced bands of about so many pixels in total: all of a photo of 49
million pixels took 5 s."""
_BESSEL = WINDOW**2 / (WINDOW**2 - 1)
_C1, _C2 = 0.01**2, 0.03**2
"""Keep the quotients from 0 / 0, for values in 0..1."""


class Fidelity(NamedTuple):
    """PSNR in dB, infinite for the sharp picture itself, and SSIM in -1..1, 1 for the sharp picture itself."""

    psnr: float
    ssim: float


def fidelity(picture: Image, sharp: Image) -> Fidelity:
    """Compute PSNR and SSIM of `picture` (H x W x 3 uint8) against `sharp`. Raises ValueError if their sizes differ, or
    a side is shorter than `WINDOW`."""
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
        similarities = _similarity(*rows)
        total += float(similarities.sum(dtype=np.float64))
        windows += similarities.size
    return total / windows


def _bands(picture: Image, sharp: Image, overlap: int = 0) -> Iterator[tuple[Image, Image]]:
    """Yield bands of rows of both images, so that a large one needs no more memory than a small one."""
    for top in range(0, picture.shape[0] - overlap, _BAND):
        bottom = top + _BAND + overlap
        yield picture[top:bottom], sharp[top:bottom]


def _similarity(one: Image, other: Image) -> Array:
    """Compute the SSIM of each window, in each channel."""
    x, y = (np.multiply(picture, 1 / 255, dtype=np.float32) for picture in (one, other))
    mean_x, mean_y = _mean(x), _mean(y)
    spread = _BESSEL * (_mean(x * x) + _mean(y * y) - mean_x**2 - mean_y**2)
    common = _BESSEL * (_mean(x * y) - mean_x * mean_y)
    light = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return np.asarray(light * (2 * common + _C2) / (spread + _C2), np.float32)


def _mean(values: Array) -> Array:
    """Compute the mean of each window inside the image."""
    margin = WINDOW // 2
    blurred = cv2.blur(values, (WINDOW, WINDOW))
    return np.asarray(blurred[margin:-margin, margin:-margin], np.float32)
