"""The gate: which crops are blurred, and what is known of their blur."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from deblur.blur_estimation import BlurEstimate, BlurEstimator
from deblur.shutter_estimation import Shutter
from stream.values import FaceCrop, Restoration

SHARP = 3.0
"""Extent in crop pixels below which a crop is sharp, and is left alone."""


@dataclass(frozen=True, slots=True, eq=False)
class BlurAssessment:
    """A crop, its measured blur, and the straight motion (x, y in crop pixels during the exposure) that blurred it:
    None where the track does not tell, or the crop does not show it."""

    crop: FaceCrop
    blur: BlurEstimate
    motion: tuple[float, float] | None

    @property
    def sharp(self) -> bool:
        return self.blur.extent < SHARP

    @property
    def length(self) -> float:
        """Pixels of the motion; 0 where it is not known."""
        return math.hypot(*self.motion) if self.motion else 0.0

    def left_alone(self) -> Restoration:
        return Restoration(self.crop, self.crop.image, "none", self.blur.extent)


class Gate:
    """Examines crops in the order in which they come; learns the cameras' shutters. Used by one thread at a time."""

    def __init__(self, shutters: Mapping[str, float] | None = None) -> None:
        """`shutters` are the fractions of the frame's time that cameras are open; others are learnt."""
        self._blurriness = BlurEstimator()
        self._shutter = Shutter(shutters)

    def assess(self, crop: FaceCrop) -> BlurAssessment:
        blur, length = self._blurriness.of(crop), self._shutter.observe(crop)
        if crop.velocity is None or length < SHARP:
            return BlurAssessment(crop, blur, None)
        share = length / crop.speed
        return BlurAssessment(crop, blur, (share * crop.velocity[0], share * crop.velocity[1]))
