"""Redaction of faces by pixelation: each cell of a coarse grid has its mean color.

Fine pixelation can be reversed by networks (McPherson, Shokri and Shmatikov, "Defeating Image Obfuscation with Deep
Learning", arXiv 1609.00408), so that the cells here are a quarter of a face wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import cv2
import numpy as np

from stream.results import Identity
from stream.values import Array, Box, Image, Track

RedactionMode = Literal["unknown", "all"]
"""Which faces are redacted: all, or those without a name (yet)."""
CELLS = 4
"""Cells across a face's box."""
MARGIN = 0.25
"""Margin around a face's box that is redacted, too, as a share of its sides."""
DRIFT = 0.5
"""The same margin for a predicted or tentative box, whose position is uncertain."""


class FacePixelator:
    """Pixelates faces, in copies of the images."""

    def __init__(self, whom: RedactionMode) -> None:
        self._whom = whom

    def picture(
        self, image: Image, tracks: Sequence[Track], names: Mapping[int, Identity], others: Iterable[Box]
    ) -> Image:
        """Return a copy with redacted faces: of `tracks` those without a name in `names`, or all; and all `others`."""
        hidden = image.copy()
        for track in tracks:
            if self.should_redact(names.get(track.id)):
                _pixelate(hidden, track.box, MARGIN if track.detected else DRIFT)
        for box in others:
            _pixelate(hidden, box, DRIFT)
        return hidden

    def crop(self, image: Image, matrix: Array, box: Box, who: Identity) -> Image:
        """Return a redacted copy of a track's square crop; outside `box` it is always redacted.

        `matrix` maps frame to crop pixels, and `box` is the face's in the frame.
        """
        hidden = image.copy()
        side = image.shape[0]
        _coarsen(hidden, side // 8)
        if not self.should_redact(who):
            shown = np.zeros(image.shape[:2], np.uint8)
            cv2.fillConvexPoly(shown, np.rint(_corners(box) @ matrix[:, :2].T + matrix[:, 2]).astype(np.int32), 255)
            np.copyto(hidden, image, where=shown[..., None] > 0)
        return hidden

    def should_redact(self, who: Identity | None) -> bool:
        """Whether a face with this identity is redacted."""
        return self._whom == "all" or who is None or who.name is None


def _pixelate(image: Image, box: Box, margin: float) -> None:
    """Pixelate a box, in place, as far as it lies inside the image."""
    height, width = image.shape[:2]
    left = max(math.floor(box.x - margin * box.width), 0)
    top = max(math.floor(box.y - margin * box.height), 0)
    right = min(math.ceil(box.x + (1 + margin) * box.width), width)
    bottom = min(math.ceil(box.y + (1 + margin) * box.height), height)
    if left < right and top < bottom:
        _coarsen(image[top:bottom, left:right], max(box.width, box.height) / CELLS)


def _coarsen(image: Image, cell: float) -> None:
    """Pixelate in place: one color for each `cell` x `cell` pixels."""
    height, width = image.shape[:2]
    cells = max(int(width / cell), 1), max(int(height / cell), 1)
    means = cv2.resize(image, cells, interpolation=cv2.INTER_AREA)
    image[:] = cv2.resize(means, (width, height), interpolation=cv2.INTER_NEAREST)


def _corners(box: Box) -> Array:
    right, bottom = box.x + box.width, box.y + box.height
    return np.array([[box.x, box.y], [right, box.y], [right, bottom], [box.x, bottom]], np.float32)
