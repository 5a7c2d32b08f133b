"""The shutter fraction is estimated from blurred crops by camera, and robust against a few wrong velocities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur import kernels
from deblur.shutter_estimation import FRACTIONS, Shutter
from stream.values import FaceCrop
from tests.deblur.conftest import MakeCrop


def moving(make_crop: MakeCrop, shutter: float, motion: tuple[float, float], camera: str = "lobby") -> FaceCrop:
    return make_crop(kernels.line(shutter * motion[0], shutter * motion[1]), motion, camera)


@settings(max_examples=25, deadline=None)
@given(shutter=st.floats(0.2, 0.9), speed=st.floats(20, 45), angle=st.floats(0, 2 * np.pi))
def test_one_fast_crop_determines_the_shutter(make_crop: MakeCrop, shutter: float, speed: float, angle: float) -> None:
    learner = Shutter()
    motion = (speed * np.cos(angle), speed * np.sin(angle))
    length = learner.observe(moving(make_crop, shutter, motion))
    assert learner.fraction("lobby") == pytest.approx(shutter, abs=0.15)
    assert length == pytest.approx(learner.fraction("lobby") * speed)


def test_before_the_first_crop_it_is_a_half() -> None:
    assert Shutter().fraction("lobby") == 0.5


def test_each_camera_has_its_own(make_crop: MakeCrop) -> None:
    learner = Shutter()
    for camera, shutter in (("lobby", 0.3), ("gate", 0.8)):
        learner.observe(moving(make_crop, shutter, (30, 8), camera))
    assert learner.fraction("lobby") == pytest.approx(0.3, abs=0.1)
    assert learner.fraction("gate") == pytest.approx(0.8, abs=0.1)


def test_wrong_velocities_are_outvoted(make_crop: MakeCrop) -> None:
    learner = Shutter()
    blurred = kernels.line(15, 0)
    for number in range(12):
        learner.observe(make_crop(blurred, (8, 30) if number % 4 == 3 else (30, 0)))
    assert learner.fraction("lobby") == pytest.approx(0.5, abs=0.1)


def test_a_shutter_that_changes_is_followed(make_crop: MakeCrop) -> None:
    learner = Shutter()
    for shutter in [0.3] * 40 + [0.7] * 40:
        learner.observe(moving(make_crop, shutter, (30, 10)))
    assert learner.fraction("lobby") == pytest.approx(0.7, abs=0.1)


def test_a_setting_is_kept(make_crop: MakeCrop) -> None:
    fixed = Shutter({"lobby": 0.5})
    assert fixed.observe(moving(make_crop, 0.5, (30, 0))) == pytest.approx(15)
    assert fixed.fraction("lobby") == 0.5


def test_a_sharp_face_that_moves_has_no_blur(make_crop: MakeCrop) -> None:
    assert Shutter({"lobby": 0.5}).observe(make_crop(None, (30, 0))) == 0


@pytest.mark.parametrize("motion", [None, (2.0, 1.0)])
def test_a_face_at_rest_gives_no_estimate(make_crop: MakeCrop, motion: tuple[float, float] | None) -> None:
    learner = Shutter()
    assert learner.observe(make_crop(kernels.line(20, 0), motion)) == 0
    assert learner.fraction("lobby") == 0.5


def test_a_crop_without_motion_has_no_likelihood(make_crop: MakeCrop) -> None:
    with pytest.raises(ValueError, match="without motion"):
        Shutter().likelihood(make_crop())


@pytest.mark.parametrize("enlarged", [3.0, 50.0])
def test_an_enlarged_face_still_has_a_likelihood(make_crop: MakeCrop, enlarged: float) -> None:
    crop = make_crop(kernels.line(20, 0), (40, 0))
    matrix = crop.matrix * np.float32(enlarged)
    likelihood = Shutter().likelihood(FaceCrop("lobby", 1, 0, 0.0, crop.image, matrix, crop.velocity, crop.quality))
    assert FRACTIONS[likelihood.argmax()] == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_crop_is_survived(make_crop: MakeCrop, level: int) -> None:
    crop = make_crop(None, (30, 0))
    blank = FaceCrop("lobby", 1, 0, 0.0, np.full_like(crop.image, level), crop.matrix, crop.velocity, crop.quality)
    assert np.isfinite(Shutter().likelihood(blank)).all()
    assert len(Shutter().likelihood(blank)) == len(FRACTIONS)


@pytest.mark.parametrize("setting", [-0.1, 1.5])
def test_an_impossible_setting_is_refused(setting: float) -> None:
    with pytest.raises(ValueError, match=r"lies in 0\.\.1"):
        Shutter({"lobby": setting})
