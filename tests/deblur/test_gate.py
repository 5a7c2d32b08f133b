"""The gate's assessment of a crop: blur extent and motion."""

from __future__ import annotations

import math

import pytest

from deblur import kernels
from deblur.gate import SHARP, Gate
from tests.deblur.conftest import MakeCrop


@pytest.mark.parametrize("motion", [None, (0.0, 0.0), (30.0, 0.0)])
def test_a_sharp_crop_is_unchanged_for_any_motion_of_its_track(
    make_crop: MakeCrop, motion: tuple[float, float] | None
) -> None:
    crop = make_crop(None, motion)
    diagnosis = Gate({"lobby": 0.5}).assess(crop)
    assert diagnosis.sharp
    assert diagnosis.motion is None
    restoration = diagnosis.unchanged()
    assert restoration.image is crop.image
    assert (restoration.method, restoration.blur) == ("none", diagnosis.blur.extent)


@pytest.mark.parametrize("velocity", [(30.0, 0.0), (0.0, -40.0), (-25.0, 25.0)])
def test_motion_is_the_share_of_the_velocity_while_the_shutter_is_open(
    make_crop: MakeCrop, velocity: tuple[float, float]
) -> None:
    blurred = kernels.line(0.5 * velocity[0], 0.5 * velocity[1])
    diagnosis = Gate({"lobby": 0.5}).assess(make_crop(blurred, velocity))
    assert not diagnosis.sharp
    assert diagnosis.motion == pytest.approx((0.5 * velocity[0], 0.5 * velocity[1]))


def test_a_shutter_that_is_not_set_is_learnt(make_crop: MakeCrop) -> None:
    gate = Gate()
    crops = [make_crop(kernels.line(0.8 * 24, 0), (24.0, 0.0), seed=seed) for seed in range(6)]
    *_, last = [gate.assess(crop) for crop in crops]
    assert last.motion is not None
    assert math.hypot(*last.motion) == pytest.approx(0.8 * 24, rel=0.15)


def test_blur_that_does_not_lie_along_the_motion_is_not_explained_by_it(make_crop: MakeCrop) -> None:
    diagnosis = Gate({"lobby": 0.5}).assess(make_crop(kernels.line(0, 16), (32.0, 0.0)))
    assert diagnosis.blur.extent > SHARP
    assert diagnosis.motion is None


def test_motion_too_short_to_blur_is_not_reported(make_crop: MakeCrop) -> None:
    diagnosis = Gate({"lobby": 0.1}).assess(make_crop(kernels.gaussian(3), (20.0, 0.0)))
    assert not diagnosis.sharp
    assert diagnosis.motion is None
