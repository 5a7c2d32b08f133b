"""A plain background for the simulated camera."""

from __future__ import annotations

import numpy as np

from stream.data import Image

WALL = (168, 182, 188)
FLOOR = (92, 104, 112)
"""BGR, 0-255."""


def hall(width: int, height: int) -> Image:
    """An empty hall, H x W x 3 BGR uint8: a wall lit from above left, darker towards its corners, and a floor."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    light = 1.08 - 0.5 * ((x - 0.4) ** 2 + (y - 0.25) ** 2)
    floor = np.clip((y - 0.82) * height / 4 + 0.5, 0, 1)[..., np.newaxis]
    picture = (np.array(WALL) * (1 - floor) + np.array(FLOOR) * floor) * light[..., np.newaxis]
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)
