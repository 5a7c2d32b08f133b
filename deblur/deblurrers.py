"""Behind the gate without a network: which blur is undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from deblur import kernels
from deblur.blur_estimation import BlurEstimator
from deblur.gate import SHARP, BlurAssessment, Gate
from deblur.richardson_lucy import deconvolve
from models.errors import ModelError
from stream.interfaces import Deblurrer
from stream.values import FaceCrop, Image, Restoration

_GAUSSIAN_STEPS = 6
_GAUSSIAN_SHARE = 0.8
"""A Gaussian as wide as the blur overshoots: its tails promise detail that the real blur still holds."""


class PassThrough:
    """Leaves every crop alone, and says how blurred it is."""

    def __init__(self) -> None:
        self._blurriness = BlurEstimator()

    def restore(self, crops: Sequence[FaceCrop], _passes: int | None = None, /) -> list[Restoration]:
        return [_alone(crop, self._blurriness.of(crop).extent) for crop in crops]


class RichardsonLucyDeblurrer:
    """Undoes motion blur by the track's own motion and the camera's shutter; what else is blurred, by the Gaussian
    of the same extents; sharp crops are left alone. Used by one thread at a time."""

    def __init__(self, shutters: Mapping[str, float] | None = None) -> None:
        """`shutters` are the fractions of the frame's time that cameras are open; others are learnt."""
        self._gate = Gate(shutters)

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None) -> list[Restoration]:
        examined = [self._gate.assess(crop) for crop in crops]
        return [
            each.left_alone() if each.sharp or passes == 0 else restore_by_richardson_lucy(each) for each in examined
        ]


def restore_by_richardson_lucy(blurred: BlurAssessment) -> Restoration:
    """Richardson-Lucy with the line of the motion, or, where that is not known, with the Gaussian."""
    if blurred.motion:
        kernel, iterations = kernels.line(*blurred.motion), final_iterations(blurred.length)
    else:
        kernel, iterations = blurred.blur.kernel(_GAUSSIAN_SHARE), _GAUSSIAN_STEPS
    image = deconvolve(blurred.crop.image, kernel, iterations)
    return Restoration(blurred.crop, image, "richardson-lucy", blurred.blur.extent)


class BoxKernelDeblurrer:
    """The seed's preset: a fixed 5 x 5 mean undone on every crop the gate calls blurred."""

    def __init__(self) -> None:
        self._blurriness = BlurEstimator()

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None) -> list[Restoration]:
        return [self._restored(crop, passes) for crop in crops]

    def _restored(self, crop: FaceCrop, passes: int | None) -> Restoration:
        extent = self._blurriness.of(crop).extent
        if extent < SHARP or passes == 0:
            return _alone(crop, extent)
        return Restoration(crop, seed_preset(crop.image), "richardson-lucy", extent)


def seed_preset(image: Image) -> Image:
    """Ten steps of the plain algorithm with a 5 x 5 mean, whatever the blur."""
    return deconvolve(image, kernels.box(5), iterations=10, smoothness=0, momentum=False)


def final_iterations(length: float) -> int:
    """How many for a motion of `length` pixels: longer ones need more (chosen on `val`, docs/design/deblurring.md)."""
    return round(12 + length / 2)


def _alone(crop: FaceCrop, extent: float) -> Restoration:
    return Restoration(crop, crop.image, "none", extent)


_log = structlog.get_logger(__name__)


class FallbackDeblurrer:
    """Restores by one deblurrer, and from its first failure on by another: a GPU that was lost does not come back, and
    each try would hold up the picture. Used by one thread at a time."""

    def __init__(self, first: Deblurrer, second: Deblurrer) -> None:
        self._current, self._second = first, second

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None) -> list[Restoration]:
        """Raises ModelError if both fail."""
        try:
            return self._current.restore(crops, passes)
        except ModelError as error:
            if self._current is self._second:
                raise
            _log.warning("the deblurring network failed: Richardson-Lucy goes on from here", reason=str(error))
            self._current = self._second
            return self._second.restore(crops, passes)
