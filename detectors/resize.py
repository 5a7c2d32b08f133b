"""Shrinks an image to the detection size."""

from __future__ import annotations

import cv2
import numpy as np

from stream.values import Array, Image


def shrink_to(image: Image, long_side: int) -> tuple[Image, Array]:
    """Shrink the longer side of the image to `long_side` pixels; return the image itself if it is not longer.

    Also returns the factors of width and height, which differ by the rounding to whole pixels.
    """
    height, width = image.shape[:2]
    shrink = long_side / max(height, width)
    if shrink >= 1:
        return image, np.ones(2, np.float32)
    columns, rows = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.array([columns / width, rows / height], np.float32)
