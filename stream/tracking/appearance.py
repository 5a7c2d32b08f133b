"""Coarse color patterns of frames and faces: they detect scene cuts, and distinguish faces that overlap."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.values import Array, Box, Image

CELLS = 8
"""A face has 8 x 8 mean colors, a frame twice as many in each direction."""
SAMPLES = 4
"""Pixels sampled per cell, in each direction."""
FLAT = 1.0
"""Length of a pattern, in gray levels, up to which it is rounding error."""


def of_face(image: Image, box: Box) -> Array:
    """The color pattern of a face: a vector of length 1; all zeros if it is flat or the box crosses the frame's
    edge."""
    height, width = image.shape[:2]
    left, top = int(box.x), int(box.y)
    right, bottom = int(box.x + box.width) + 1, int(box.y + box.height) + 1
    if left < 0 or top < 0 or right > width or bottom > height:
        return np.zeros(CELLS * CELLS * 3, np.float32)
    return _pattern(image[top:bottom, left:right], CELLS)


def of_picture(image: Image) -> Array:
    """The color pattern of a frame: a vector of length 1; all zeros if it is flat."""
    return _pattern(image, 2 * CELLS)


def appearance_distance(ones: Sequence[Array], others: Sequence[Array]) -> NDArray[np.float64]:
    """1 - correlation (0..2) of every pair of patterns; 0 where one of them is flat."""
    first, second = np.stack(ones), np.stack(others)
    comparable = np.outer(first.any(axis=1), second.any(axis=1))
    return np.where(comparable, 1.0 - first @ second.T, 0.0)


def _pattern(image: Image, cells: int) -> Array:
    side = cells * SAMPLES
    samples = cv2.resize(image, (side, side), interpolation=cv2.INTER_NEAREST)
    means = cv2.resize(samples, (cells, cells), interpolation=cv2.INTER_AREA).astype(np.float32)
    pattern = (means - means.mean((0, 1))).ravel()
    length = float(np.linalg.norm(pattern))
    return pattern / length if length > FLAT else np.zeros_like(pattern)
