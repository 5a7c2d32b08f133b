"""Deblurrers without a network: pass-through, Richardson-Lucy and a fixed box kernel; and the fallback between two."""

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
"""Relative width of the Gaussian: one as wide as the blur has longer tails than the real kernel, and overshoots."""


class PassThrough:
    """Returns every crop unchanged, with its blur extent."""

    def __init__(self) -> None:
        self._estimator = BlurEstimator()

    def restore(self, crops: Sequence[FaceCrop], _passes: int | None = None, /) -> list[Restoration]:
        return [_unchanged(crop, self._estimator.of(crop).extent) for crop in crops]


class RichardsonLucyDeblurrer:
    """Deconvolves motion blur by the track's motion and the camera's shutter, other blur by a Gaussian of the same
    extents; sharp crops are returned unchanged. Not thread-safe."""

    def __init__(self, shutters: Mapping[str, float] | None = None) -> None:
        """`shutters` are the shutter fractions by camera; others are estimated."""
        self._gate = Gate(shutters)

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None) -> list[Restoration]:
        assessments = [self._gate.assess(crop) for crop in crops]
        return [
            each.unchanged() if each.sharp or passes == 0 else restore_by_richardson_lucy(each) for each in assessments
        ]


def restore_by_richardson_lucy(blurred: BlurAssessment) -> Restoration:
    """Deconvolve with the line of the motion or, if that is not known, with a Gaussian."""
    if blurred.motion:
        kernel, iterations = kernels.line(*blurred.motion), final_iterations(blurred.length)
    else:
        kernel, iterations = blurred.blur.kernel(_GAUSSIAN_SHARE), _GAUSSIAN_STEPS
    image = deconvolve(blurred.crop.image, kernel, iterations)
    return Restoration(blurred.crop, image, "richardson-lucy", blurred.blur.extent)


class BoxKernelDeblurrer:
    """Baseline: deconvolves every blurred crop with a fixed 5 x 5 mean, whatever its blur."""

    def __init__(self) -> None:
        self._estimator = BlurEstimator()

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None) -> list[Restoration]:
        return [self._restore(crop, passes) for crop in crops]

    def _restore(self, crop: FaceCrop, passes: int | None) -> Restoration:
        extent = self._estimator.of(crop).extent
        if extent < SHARP or passes == 0:
            return _unchanged(crop, extent)
        return Restoration(crop, deconvolve_with_box_kernel(crop.image), "richardson-lucy", extent)


def deconvolve_with_box_kernel(image: Image) -> Image:
    """Run ten steps of plain Richardson-Lucy with a 5 x 5 mean."""
    return deconvolve(image, kernels.box(5), iterations=10, smoothness=0, momentum=False)


def final_iterations(length: float) -> int:
    """Return the number of steps for a motion of `length` pixels: longer ones need more (chosen on `val`,
    docs/design/deblurring.md)."""
    return round(12 + length / 2)


def _unchanged(crop: FaceCrop, extent: float) -> Restoration:
    return Restoration(crop, crop.image, "none", extent)


_log = structlog.get_logger(__name__)


class FallbackDeblurrer:
    """Switches permanently to a second deblurrer at the first failure of the first: a lost GPU does not come back, and
    each retry would delay the frames. Not thread-safe."""

    def __init__(self, first: Deblurrer, second: Deblurrer) -> None:
        self._current, self._second = first, second

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None) -> list[Restoration]:
        """Restore the crops. Raises ModelError if both fail."""
        try:
            return self._current.restore(crops, passes)
        except ModelError as error:
            if self._current is self._second:
                raise
            _log.warning("the deblurring network failed: Richardson-Lucy goes on from here", reason=str(error))
            self._current = self._second
            return self._second.restore(crops, passes)
