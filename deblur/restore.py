"""The gate and what stands behind it: which crops are restored, and with which blur undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deblur import kernels
from deblur.blurriness import Blurriness
from deblur.richardson_lucy import deconvolve
from deblur.shutter import Shutter
from stream.data import Array, Crop, Image, Restoration

SHARP = 3.0
"""Extent in crop pixels below which a crop is sharp, and is left alone."""
_GAUSSIAN_STEPS = 6
_GAUSSIAN_SHARE = 0.8
"""A Gaussian as wide as the blur overshoots: its tails promise detail that the real blur still holds."""


class Off:
    """Leaves every crop alone, and says how blurred it is."""

    def __init__(self) -> None:
        self._blurriness = Blurriness()

    def restore(self, crops: Sequence[Crop]) -> list[Restoration]:
        return [_alone(crop, self._blurriness.of(crop).extent) for crop in crops]


class RichardsonLucy:
    """Undoes motion blur by the track's own motion and the camera's shutter; what else is blurred, by the Gaussian
    of the same extents; sharp crops are left alone. Used by one thread at a time."""

    def __init__(self, shutters: Mapping[str, float] | None = None) -> None:
        """`shutters` are the fractions of the frame's time that cameras are open; others are learnt."""
        self._blurriness = Blurriness()
        self._shutter = Shutter(shutters)

    def restore(self, crops: Sequence[Crop]) -> list[Restoration]:
        return [self._restored(crop) for crop in crops]

    def _restored(self, crop: Crop) -> Restoration:
        blur, length = self._blurriness.of(crop), self._shutter.observe(crop)
        if blur.extent < SHARP:
            return _alone(crop, blur.extent)
        if crop.motion and length >= SHARP:
            share = length / crop.speed
            line = kernels.line(share * crop.motion[0], share * crop.motion[1])
            return _undone(crop, line, steps(length), blur.extent)
        return _undone(crop, blur.kernel(_GAUSSIAN_SHARE), _GAUSSIAN_STEPS, blur.extent)


class Seed:
    """The seed's preset: a fixed 5 x 5 mean undone on every crop the gate calls blurred."""

    def __init__(self) -> None:
        self._blurriness = Blurriness()

    def restore(self, crops: Sequence[Crop]) -> list[Restoration]:
        return [self._restored(crop) for crop in crops]

    def _restored(self, crop: Crop) -> Restoration:
        extent = self._blurriness.of(crop).extent
        if extent < SHARP:
            return _alone(crop, extent)
        return Restoration(crop, seed_preset(crop.image), "richardson-lucy", extent)


def seed_preset(image: Image) -> Image:
    """Ten steps of the plain algorithm with a 5 x 5 mean, whatever the blur."""
    return deconvolve(image, kernels.box(5), iterations=10, smoothness=0, momentum=False)


def steps(length: float) -> int:
    """How many for a motion of `length` pixels: longer ones need more (chosen on `val`, docs/deblurring.md)."""
    return round(12 + length / 2)


def _alone(crop: Crop, extent: float) -> Restoration:
    return Restoration(crop, crop.image, "none", extent)


def _undone(crop: Crop, kernel: Array, iterations: int, extent: float) -> Restoration:
    return Restoration(crop, deconvolve(crop.image, kernel, iterations), "richardson-lucy", extent)
