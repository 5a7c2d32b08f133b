"""Behind the gate: the network that this project trained (`deblur/train`), blind or told the motion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from deblur import hint
from deblur.gate import Diagnosis, Gate
from models.session import Session
from stream.data import Array, Crop, Image, Restoration

SIDE = 128
"""Side in pixels of the crops that the network takes."""
TOGETHER = 16
"""Crops that go through the network at once, so that memory stays bounded."""


class CNN:
    """Restores blurred crops by the network, which is told the motion where it is known; sharp crops are left alone.
    Used by one thread at a time.

    What a crop gives does not depend on the crops beside it, but for the shutter, which is learnt from those before.
    """

    def __init__(self, session: Session, shutters: Mapping[str, float] | None = None) -> None:
        """`session` runs the network: crops and hints (N x 128 x 128 x 3, BGR uint8) and motion (N x 2, float32) to
        restored crops. `shutters` are as for `Gate`."""
        self._session = session
        self._gate = Gate(shutters)

    def restore(self, crops: Sequence[Crop]) -> list[Restoration]:
        """Raises ValueError for a blurred crop of another size than the network takes; ModelError if the backend fails."""
        examined = [self._gate.examine(crop) for crop in crops]
        images = self._undone([each for each in examined if not each.sharp])
        return [each.left_alone() if each.sharp else _restored(each, next(images)) for each in examined]

    def _undone(self, blurred: Sequence[Diagnosis]) -> Iterator[Image]:
        for start in range(0, len(blurred), TOGETHER):
            yield from self._session.run(*_inputs(blurred[start : start + TOGETHER]))[0]


def _inputs(blurred: Sequence[Diagnosis]) -> tuple[Image, Image, Array]:
    crops = [each.crop.image for each in blurred]
    motions = [each.motion for each in blurred]
    hints = [hint.picture(*pair) for pair in zip(crops, motions, strict=True)]
    return np.stack(crops), np.stack(hints), np.stack([hint.encoded(motion) for motion in motions])


def _restored(blurred: Diagnosis, image: Image) -> Restoration:
    return Restoration(blurred.crop, image, "cnn", blurred.blur.extent)
