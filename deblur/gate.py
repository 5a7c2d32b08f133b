"""The gate: decides which crops are blurred, and by which motion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from deblur.blur_estimation import BlurEstimate, BlurEstimator
from deblur.shutter_estimation import Shutter
from stream.values import FaceCrop, Restoration

SHARP = 3.0
"""Extent in crop pixels below which a crop is sharp, and is not deblurred."""


@dataclass(frozen=True, slots=True, eq=False)
class BlurAssessment:
    """A crop, its measured blur, and the straight motion (x, y in crop pixels during the exposure) that blurred it:
    None if the track has no velocity, or the crop does not show that motion."""

    crop: FaceCrop
    blur: BlurEstimate
    motion: tuple[float, float] | None

    @property
    def sharp(self) -> bool:
        return self.blur.extent < SHARP

    @property
    def length(self) -> float:
        """Pixels of the motion; 0 if it is not known."""
        return math.hypot(*self.motion) if self.motion else 0.0

    def unchanged(self) -> Restoration:
        """Return the crop as it is, as a restoration by no method."""
        return Restoration(self.crop, self.crop.image, "none", self.blur.extent)


class Gate:
    """Assesses crops in the order of arrival; estimates the cameras' shutter fractions. Not thread-safe."""

    def __init__(self, shutters: Mapping[str, float] | None = None) -> None:
        """`shutters` are the shutter fractions by camera; others are estimated."""
        self._estimator = BlurEstimator()
        self._shutter = Shutter(shutters)

    def assess(self, crop: FaceCrop) -> BlurAssessment:
        blur, length = self._estimator.of(crop), self._shutter.observe(crop)
        if crop.velocity is None or length < SHARP:
            return BlurAssessment(crop, blur, None)
        share = length / crop.speed
        return BlurAssessment(crop, blur, (share * crop.velocity[0], share * crop.velocity[1]))
