"""Behind the gate: the network that this project trained (`deblur/train`), blind or told the motion.

It looks several times: each look also tells which kernel it believes blurred the crop, and at the next it is shown what
Richardson-Lucy makes of the crop with that kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deblur import conditioning, kernels
from deblur.deblurrers import restore_by_richardson_lucy
from deblur.gate import BlurAssessment, Gate
from models.backends.session import Session, Tensor
from stream.values import Array, FaceCrop, Image, Restoration

SIDE = 128
"""Side in pixels of the crops that the network takes."""
REACH = 48.0
"""Crop pixels of motion: more was never told in training (`deblur/train/dataset.py`), so more is not told.
Richardson-Lucy does better there (docs/design/deblurring.md, "The whole stage on a track")."""
AGREEMENT = 0.1
"""An estimated kernel whose length differs from the known motion by at most this share confirms the motion, which is
then known better than the kernel: no second pass (docs/design/deblurring.md, "The whole stage on a track")."""
TOGETHER = 16
"""Crops that go through the network at once, so that memory stays bounded."""


class Inputs(NamedTuple):
    """What the network may take, by the names of its inputs; each with a row for each crop."""

    crops: Image
    hints: Image
    motion: Array
    others: Image

    def some(self, rows: NDArray[np.intp]) -> Inputs:
        return Inputs(self.crops[rows], self.hints[rows], self.motion[rows], self.others[rows])

    def through(self, session: Session) -> list[Tensor]:
        """What a network makes of those that it takes. Raises KeyError if it takes anything else, ModelError."""
        given = self._asdict()
        return session.run(*(given[name] for name in session.names))


class CNN:
    """Restores blurred crops by the network, which is told the motion where it is known; sharp crops are left alone.
    Used by one thread at a time.

    What a crop gives does not depend on the crops beside it, but for the shutter, which is learnt from those before.
    """

    def __init__(
        self,
        session: Session,
        shutters: Mapping[str, float] | None = None,
        reach: float = math.inf,
        looks: int = 3,
    ) -> None:
        """`session` runs the network: crops and hints (N x 128 x 128 x 3, BGR uint8), motion (N x 2, float32) and
        others (N x 128 x 128 x 6, uint8), as far as it takes them, to restored crops and kernels (N x 49 x 49, float32,
        each with sum 1); one that gives no kernels looks once.
        `shutters` are as for `Gate`. Motion that is known to be longer than `reach` crop pixels is undone by
        Richardson-Lucy. `looks` is how often it looks at a crop."""
        self._session = session
        self._gate = Gate(shutters)
        self._reach = reach
        self._looks = looks

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None) -> list[Restoration]:
        """Looks at each crop `passes` times at most. Raises ValueError for a blurred crop of another size than the
        network takes; ModelError if the backend fails."""
        examined = [self._gate.assess(crop) for crop in crops]
        if passes == 0:
            return [each.left_alone() for each in examined]
        looks = self._looks if passes is None else min(passes, self._looks)
        images = self._images([each for each in examined if self._is_ours(each)], looks)
        return [self._restored(each, images) for each in examined]

    def _is_ours(self, examined: BlurAssessment) -> bool:
        return not examined.sharp and examined.length <= self._reach

    def _restored(self, examined: BlurAssessment, images: Iterator[Image]) -> Restoration:
        if examined.sharp:
            return examined.left_alone()
        if not self._is_ours(examined):
            return restore_by_richardson_lucy(examined)
        return Restoration(examined.crop, next(images), "cnn", examined.blur.extent)

    def _images(self, blurred: Sequence[BlurAssessment], looks: int) -> Iterator[Image]:
        for start in range(0, len(blurred), TOGETHER):
            yield from self._looked(_inputs(blurred[start : start + TOGETHER]), looks)

    def _looked(self, given: Inputs, looks: int) -> Image:
        images, *told = given.through(self._session)
        if not told or looks == 1:
            return images
        lengths = conditioning.lengths(given.motion)
        again = np.flatnonzero([not _borne_out(*each) for each in zip(lengths, told[0], strict=True)])
        if not again.size:
            return images
        causes, given = told[0][again], given.some(again)
        for _ in range(looks - 1):
            hints = np.stack(
                [conditioning.deconvolve_with_kernel(*pair) for pair in zip(given.crops, causes, strict=True)]
            )
            images[again], causes = given._replace(hints=hints).through(self._session)
        return images


def _borne_out(length: float, told: Array) -> bool:
    """Whether a motion is known, of `length` crop pixels, and the kernel told is about as long."""
    return length > 0 and abs(kernels.extent(conditioning.firm(told)) / length - 1) < AGREEMENT


def _inputs(blurred: Sequence[BlurAssessment]) -> Inputs:
    crops = [each.crop.image for each in blurred]
    for crop in crops:
        if crop.shape[0] != SIDE:
            raise ValueError(f"the network takes crops of {SIDE} x {SIDE} pixels, not of {crop.shape[0]}")
    motions = [each.motion if each.length <= REACH else None for each in blurred]
    hints = [conditioning.picture(*pair) for pair in zip(crops, motions, strict=True)]
    encoded = [conditioning.encoded(motion) for motion in motions]
    others = [conditioning.others(each.crop) for each in blurred]
    return Inputs(np.stack(crops), np.stack(hints), np.stack(encoded), np.stack(others))
