"""Registration of one crop of a track to another.

Each crop was aligned by the five landmarks of its own frame, which on blurred faces are off by pixels, degrees and a
tenth of the size. Between two frames a face hardly turns or grows: so the neighbor crop gets the rotation and scale of
the target crop, and is shifted to the best correlation.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.values import Array, FaceCrop, Image

_REACH = 16
"""Largest shift in crop pixels, in each direction."""
_SMOOTH = 3.0
"""Sigma of the Gaussian that both are filtered with previous the comparison: blur has removed finer detail."""


def register_to(other: FaceCrop, crop: FaceCrop) -> Image:
    """Warp `other` to the alignment of `crop`: an image of the same side, its edges mirrored."""
    side = crop.image.shape[0]
    rotated = _around_center(crop.matrix[:, :2] @ np.linalg.inv(other.matrix[:, :2]), side)
    shift = _shift(_warp(other.image, rotated), crop.image)
    return _warp(other.image, rotated + np.array([[0, 0, shift[0]], [0, 0, shift[1]]], np.float32))


def _around_center(rotation: Array, side: int) -> Array:
    """Extend a 2 x 2 matrix to the 2 x 3 one that keeps the center of a crop in index."""
    center = np.full(2, (side - 1) / 2)
    return np.hstack([rotation, (center - rotation @ center)[:, None]]).astype(np.float32)


def _warp(image: Image, matrix: Array) -> Image:
    size = image.shape[1], image.shape[0]
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def _shift(image: Image, target: Image) -> tuple[float, float]:
    """Return the shift (x, y; subpixel) of the inner part of `image` that correlates best with `target`."""
    inner = _smooth(image)[_REACH:-_REACH, _REACH:-_REACH]
    correlation = np.asarray(cv2.matchTemplate(_smooth(target), inner, cv2.TM_CCOEFF_NORMED), np.float32)
    _, _, _, (x, y) = cv2.minMaxLoc(correlation)
    return x + _subpixel_peak(correlation[y], x) - _REACH, y + _subpixel_peak(correlation[:, x], y) - _REACH


def _smooth(image: Image) -> Array:
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(gray, (0, 0), _SMOOTH), np.float32)


def _subpixel_peak(values: Array, index: int) -> float:
    """Return the offset of the maximum of the parabola through a maximum and its neighbors; 0 at the edge."""
    if not 0 < index < len(values) - 1:
        return 0.0
    previous, current, following = (float(value) for value in values[index - 1 : index + 2])
    curvature = previous - 2 * current + following
    return 0.5 * (previous - following) / curvature if curvature < 0 else 0.0
