"""How near a picture comes to the sharp one of the same size: PSNR, and SSIM (Wang et al., "Image quality assessment:
from error visibility to structural similarity", IEEE TIP 2004).

SSIM is taken over windows of 7 x 7 pixels that lie within the picture, and over the three channels, as scikit-image
does unless told otherwise: a picture has one figure, whichever of the two gives it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.data import Array, Image

WINDOW = 7
"""Side in pixels of the windows over which structure is compared."""
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
    error = np.square(cv2.absdiff(picture, sharp), dtype=np.uint16).mean(dtype=np.float64)
    return 10 * math.log10(255**2 / error) if error else math.inf


def _ssim(picture: Image, sharp: Image) -> float:
    """Channel by channel, so that a large picture needs a third of the memory."""
    return float(np.mean([_similarity(picture[..., channel], sharp[..., channel]) for channel in range(3)]))


def _similarity(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    x, y = (np.multiply(channel, 1 / 255, dtype=np.float32) for channel in (one, other))
    mean_x, mean_y = _mean(x), _mean(y)
    spread = _BESSEL * (_mean(x * x) + _mean(y * y) - mean_x**2 - mean_y**2)
    common = _BESSEL * (_mean(x * y) - mean_x * mean_y)
    light = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return float((light * (2 * common + _C2) / (spread + _C2)).mean(dtype=np.float64))


def _mean(values: Array) -> Array:
    """Of each window within the picture."""
    margin = WINDOW // 2
    blurred = cv2.blur(values, (WINDOW, WINDOW))
    return np.asarray(blurred[margin:-margin, margin:-margin], np.float32)
