"""How pictures and faces look, coarsely: enough to tell a cut of the film, or one face from another that hides it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.values import Array, Box, Image

CELLS = 8
"""A face is summed up by 8 x 8 colours, a picture by twice as many each way."""
SAMPLES = 4
"""Pixels sampled per cell, each way."""
FLAT = 1.0
"""Length of a pattern, in grey levels, up to which it is rounding."""


def of_face(image: Image, box: Box) -> Array:
    """The pattern of the face's colours: a vector of length 1, or 0 where it is flat or reaches over the edge."""
    height, width = image.shape[:2]
    left, top = int(box.x), int(box.y)
    right, bottom = int(box.x + box.width) + 1, int(box.y + box.height) + 1
    if left < 0 or top < 0 or right > width or bottom > height:
        return np.zeros(CELLS * CELLS * 3, np.float32)
    return _pattern(image[top:bottom, left:right], CELLS)


def of_picture(image: Image) -> Array:
    """The pattern of the picture's colours: a vector of length 1, or 0 where it is flat."""
    return _pattern(image, 2 * CELLS)


def appearance_distance(ones: Sequence[Array], others: Sequence[Array]) -> NDArray[np.float64]:
    """1 - correlation (0..2) of every pair of patterns; 0 where one of them is flat and tells nothing."""
    first, second = np.stack(ones), np.stack(others)
    telling = np.outer(first.any(axis=1), second.any(axis=1))
    return np.where(telling, 1.0 - first @ second.T, 0.0)


def _pattern(image: Image, cells: int) -> Array:
    side = cells * SAMPLES
    samples = cv2.resize(image, (side, side), interpolation=cv2.INTER_NEAREST)
    means = cv2.resize(samples, (cells, cells), interpolation=cv2.INTER_AREA).astype(np.float32)
    pattern = (means - means.mean((0, 1))).ravel()
    length = float(np.linalg.norm(pattern))
    return pattern / length if length > FLAT else np.zeros_like(pattern)
