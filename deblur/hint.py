"""What the network is told of a crop's motion: a picture with it undone, and two numbers.

Training makes its samples by these very functions.
"""

from __future__ import annotations

import numpy as np

from deblur import wiener
from stream.data import Array, Image

UNIT = 32.0
"""Crop pixels of motion that the network sees as 1."""


def picture(image: Image, motion: tuple[float, float] | None) -> Image:
    """The crop with its straight motion (x, y in crop pixels during the exposure) undone by the Wiener filter; the very
    crop where the motion is not known."""
    return image if motion is None else wiener.undo(image, motion)


def encoded(motion: tuple[float, float] | None) -> Array:
    """The motion as the network takes it, float32: which way along the line does not matter, so its angle is doubled.
    (0, 0) where it is not known."""
    if motion is None:
        return np.zeros(2, np.float32)
    along = complex(*motion)
    doubled = along * along / (abs(along) * UNIT)
    return np.array([doubled.real, doubled.imag], np.float32)
