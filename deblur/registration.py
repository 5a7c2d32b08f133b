"""Laying one crop of a track over another.

Each was cut out by the five points found in its own picture, which on blurred faces are off by pixels, degrees and a
tenth of the size. From one picture to the next a face hardly turns or grows: so the other crop gets the turn and size
of the one at hand, and is shifted to where both agree best.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.values import Array, FaceCrop, Image

_REACH = 16
"""Pixels of the crop by which it is shifted at most, each way."""
_SMOOTH = 3.0
"""Sigma of the Gaussian under which both are compared: what is finer, blur has taken from either."""


def register_to(other: FaceCrop, crop: FaceCrop) -> Image:
    """`other`'s picture as it would have been cut out beside `crop`, of the same side; edges are mirrored."""
    side = crop.image.shape[0]
    turned = _about_centre(crop.matrix[:, :2] @ np.linalg.inv(other.matrix[:, :2]), side)
    shift = _shift(_warped(other.image, turned), crop.image)
    return _warped(other.image, turned + np.array([[0, 0, shift[0]], [0, 0, shift[1]]], np.float32))


def _about_centre(turn: Array, side: int) -> Array:
    """The 2 x 3 matrix of this 2 x 2 one that leaves a crop's centre where it is."""
    centre = np.full(2, (side - 1) / 2)
    return np.hstack([turn, (centre - turn @ centre)[:, None]]).astype(np.float32)


def _warped(image: Image, matrix: Array) -> Image:
    size = image.shape[1], image.shape[0]
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def _shift(image: Image, target: Image) -> tuple[float, float]:
    """By how many pixels, to parts of one, the inner part of `image` has to move to correlate best with `target`."""
    inner = _smooth(image)[_REACH:-_REACH, _REACH:-_REACH]
    alike = np.asarray(cv2.matchTemplate(_smooth(target), inner, cv2.TM_CCOEFF_NORMED), np.float32)
    _, _, _, (x, y) = cv2.minMaxLoc(alike)
    return x + _subpixel_peak(alike[y], x) - _REACH, y + _subpixel_peak(alike[:, x], y) - _REACH


def _smooth(image: Image) -> Array:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), _SMOOTH), np.float32)


def _subpixel_peak(values: Array, place: int) -> float:
    """Where between pixels the parabola through a maximum and its neighbours is highest; 0 at the edge."""
    if not 0 < place < len(values) - 1:
        return 0.0
    before, here, after = (float(value) for value in values[place - 1 : place + 2])
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
