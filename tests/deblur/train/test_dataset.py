from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur import kernels
from deblur.conditioning import encode_motion
from deblur.train.augmentation import Photo
from deblur.train.dataset import Blurs, Synthesis
from deblur.train.recipe import NetRecipe

_LENGTHS = st.floats(1, 60)
_ANGLES = st.floats(0, 2 * math.pi)


@pytest.fixture(scope="module")
def blurs() -> Blurs:
    return Blurs(40)


def test_the_same_seed_gives_the_same_crops(photos: list[Photo]) -> None:
    one, other = (next(iter(Synthesis(photos, 6, 96, 20, (3,)))) for _ in range(2))
    for name in ("crops", "hints", "motion", "sharp", "kernels", "upright", "identity"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_another_seed_gives_others(photos: list[Photo]) -> None:
    one, other = (next(iter(Synthesis(photos, 6, 96, 20, (seed,)))) for seed in (3, 4))
    assert (one.crops != other.crops).any()


def test_a_batch_has_the_shapes_the_network_takes(photos: list[Photo]) -> None:
    batch = next(iter(Synthesis(photos, 5, 96, 20, (0,))))
    assert batch.crops.shape == batch.hints.shape == batch.sharp.shape == (5, 96, 96, 3)
    assert batch.crops.dtype == batch.hints.dtype == batch.sharp.dtype == np.uint8
    assert batch.motion.shape == (5, 2)
    assert batch.kernels.shape == (5, 49, 49)
    assert batch.kernels.dtype == np.float32
    assert batch.upright.shape == (5, 2, 3)
    assert batch.identity.shape == (5, 4)


def test_hints_are_deconvolved_where_motion_is_an_input(photos: list[Photo]) -> None:
    batch = next(iter(Synthesis(photos, 64, 128, 40, (1,))))
    known = np.abs(batch.motion).sum(1) > 0
    assert 3 < known.sum() < 25
    np.testing.assert_array_equal(known, (batch.hints != batch.crops).any((1, 2, 3)))


def test_a_blind_network_gets_no_motion(photos: list[Photo]) -> None:
    batch = next(iter(Synthesis(photos, 24, 96, 40, (1,), NetRecipe(informed=False))))
    assert not batch.motion.any()
    np.testing.assert_array_equal(batch.hints, batch.crops)


@given(length=_LENGTHS, angle=_ANGLES)
def test_opposite_motions_have_one_encoding(length: float, angle: float) -> None:
    motion = length * math.cos(angle), length * math.sin(angle)
    encoded = encode_motion(motion)
    np.testing.assert_allclose(encoded, encode_motion((-motion[0], -motion[1])), atol=1e-6)
    assert np.linalg.norm(encoded) == pytest.approx(length / 32, rel=1e-4)


def test_every_blur_is_a_kernel(blurs: Blurs) -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        kernel = blurs.draw(rng).kernel
        assert kernel.sum() == pytest.approx(1, abs=1e-4)
        assert kernel.min() >= 0
        assert kernels.extent(kernel) <= 60


def test_the_motion_input_is_near_the_true_one(blurs: Blurs) -> None:
    rng = np.random.default_rng(2)
    informed = [blur for blur in (blurs.draw(rng) for _ in range(500)) if blur.motion]
    assert len(informed) > 30
    for blur in informed:
        assert blur.motion
        assert math.hypot(*blur.motion) == pytest.approx(kernels.extent(blur.kernel), rel=0.25, abs=1)
