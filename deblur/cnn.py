"""Deblurring by a neural network (`deblur/train`), with or without a known motion.

It runs in passes: each predicts the sharp crop and the kernel that blurred it, and the next is conditioned on the
Richardson-Lucy deconvolution of the crop with that kernel.
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
from models.backends.session import NetworkSession, Tensor
from stream.values import Array, FaceCrop, Image, Restoration

SIDE = 128
"""Side in pixels of the crops that the network takes."""
REACH = 48.0
"""Longest motion in crop pixels that is given to the network: training has none longer (`deblur/train/dataset.py`).
Richardson-Lucy does better there (docs/design/deblurring.md, "The whole stage on a track")."""
AGREEMENT = 0.1
"""Relative difference in length up to which an estimated kernel confirms the known motion. The motion is then more
exact than the kernel, and the crop gets no further pass (docs/design/deblurring.md, "The whole stage on a track")."""
TOGETHER = 16
"""Crops per batch of the network, so that memory stays bounded."""


class Inputs(NamedTuple):
    """Inputs of the network, by their ONNX names; one row for each crop."""

    crops: Image
    hints: Image
    motion: Array
    others: Image

    def select(self, rows: NDArray[np.intp]) -> Inputs:
        return Inputs(self.crops[rows], self.hints[rows], self.motion[rows], self.others[rows])

    def run(self, session: NetworkSession) -> list[Tensor]:
        """Run the network on the inputs that it takes. Raises KeyError if it takes another one; ModelError."""
        values = self._asdict()
        return session.run(*(values[name] for name in session.names))


class CNN:
    """Deblurs crops by the network, given the motion where it is known; sharp crops are returned unchanged. Not
    thread-safe.

    A result does not depend on the other crops of the batch, only on the shutter fraction learned from earlier ones.
    """

    def __init__(
        self,
        session: NetworkSession,
        shutters: Mapping[str, float] | None = None,
        reach: float = math.inf,
        passes: int = 3,
    ) -> None:
        """`session` runs the network: crops and hints (N x 128 x 128 x 3, BGR uint8), motion (N x 2, float32) and
        others (N x 128 x 128 x 6, uint8), as far as it takes them, to restored crops and kernels (N x 49 x 49, float32,
        each with sum 1); one without kernels gets one pass.
        `shutters` are as for `Gate`. Known motion longer than `reach` crop pixels is left to Richardson-Lucy.
        `passes` is the largest number of passes for a crop."""
        self._session = session
        self._gate = Gate(shutters)
        self._reach = reach
        self._passes = passes

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None) -> list[Restoration]:
        """Deblur each crop in at most `passes` passes. Raises ValueError for a blurred crop of another size than the
        network takes; ModelError if the backend fails."""
        assessments = [self._gate.assess(crop) for crop in crops]
        if passes == 0:
            return [assessment.unchanged() for assessment in assessments]
        limit = self._passes if passes is None else min(passes, self._passes)
        images = self._deblur([each for each in assessments if self._uses_network(each)], limit)
        return [self._restoration(each, images) for each in assessments]

    def _uses_network(self, assessment: BlurAssessment) -> bool:
        return not assessment.sharp and assessment.length <= self._reach

    def _restoration(self, assessment: BlurAssessment, images: Iterator[Image]) -> Restoration:
        if assessment.sharp:
            return assessment.unchanged()
        if not self._uses_network(assessment):
            return restore_by_richardson_lucy(assessment)
        return Restoration(assessment.crop, next(images), "cnn", assessment.blur.extent)

    def _deblur(self, blurred: Sequence[BlurAssessment], passes: int) -> Iterator[Image]:
        for start in range(0, len(blurred), TOGETHER):
            yield from self._run_passes(_inputs(blurred[start : start + TOGETHER]), passes)

    def _run_passes(self, inputs: Inputs, passes: int) -> Image:
        images, *estimates = inputs.run(self._session)
        if not estimates or passes == 1:
            return images
        lengths = conditioning.motion_lengths(inputs.motion)
        unconfirmed = np.flatnonzero([not _confirms_motion(*each) for each in zip(lengths, estimates[0], strict=True)])
        if not unconfirmed.size:
            return images
        estimated, inputs = estimates[0][unconfirmed], inputs.select(unconfirmed)
        for _ in range(passes - 1):
            hints = np.stack(
                [conditioning.deconvolve_with_kernel(*pair) for pair in zip(inputs.crops, estimated, strict=True)]
            )
            images[unconfirmed], estimated = inputs._replace(hints=hints).run(self._session)
        return images


def _confirms_motion(length: float, estimated: Array) -> bool:
    """Whether a motion of `length` crop pixels is known (not 0), and the estimated kernel is about as long."""
    return length > 0 and abs(kernels.extent(conditioning.prune_kernel(estimated)) / length - 1) < AGREEMENT


def _inputs(blurred: Sequence[BlurAssessment]) -> Inputs:
    crops = [each.crop.image for each in blurred]
    for crop in crops:
        if crop.shape[0] != SIDE:
            raise ValueError(f"the network takes crops of {SIDE} x {SIDE} pixels, not of {crop.shape[0]}")
    motions = [each.motion if each.length <= REACH else None for each in blurred]
    hints = [conditioning.deconvolve_motion(*pair) for pair in zip(crops, motions, strict=True)]
    encoded = [conditioning.encode_motion(motion) for motion in motions]
    neighbors = [conditioning.align_neighbors(each.crop) for each in blurred]
    return Inputs(np.stack(crops), np.stack(hints), np.stack(encoded), np.stack(neighbors))
