"""Richardson-Lucy reverses a known kernel, up to the border, for every type and size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur import kernels
from deblur.richardson_lucy import ImageOrArray, deconvolve
from stream.values import Array, Image

KERNELS = {
    "box": kernels.box(5),
    "line": kernels.line(11, 5),
    "disk": kernels.disk(3),
    "trajectory": kernels.trajectory(27, np.random.default_rng(2)),
}


def recorded(face: Image, kernel: Array) -> Image:
    return kernels.add_sensor_noise(kernels.blur(face, kernel), 0.01, np.random.default_rng(0))[40:168, 40:168]


@pytest.mark.parametrize("name", KERNELS)
def test_the_true_kernel_gains_decibels(face: Image, name: str) -> None:
    sharp, blurred = face[40:168, 40:168], recorded(face, KERNELS[name])
    assert cv2.PSNR(deconvolve(blurred, KERNELS[name], 20), sharp) > cv2.PSNR(blurred, sharp) + 2


@pytest.mark.parametrize("name", ["line", "trajectory"])
def test_the_border_is_restored_too(face: Image, name: str) -> None:
    sharp, blurred = face[40:168, 40:168], recorded(face, KERNELS[name])
    restored = deconvolve(blurred, KERNELS[name], 20)
    rim = np.ones((128, 128), bool)
    rim[8:-8, 8:-8] = False

    def error(image: Image) -> float:
        return float(((image[rim].astype(float) - sharp[rim]) ** 2).mean())

    assert error(restored) < error(blurred)


def test_more_smoothness_means_less_noise() -> None:
    noisy = kernels.add_sensor_noise(np.full((64, 64, 3), 128, np.float32), 0.02, np.random.default_rng(1))
    rough, smooth = (deconvolve(noisy, kernels.box(5), 20, smoothness) for smoothness in (0.0, 0.01))
    assert smooth.std() < 0.5 * rough.std()


def test_momentum_climbs_faster(face: Image) -> None:
    kernel = kernels.line(19, 0)
    sharp, blurred = face[40:168, 40:168], recorded(face, kernel)
    plain, quick = (deconvolve(blurred, kernel, 10, momentum=momentum) for momentum in (False, True))
    assert cv2.PSNR(quick, sharp) > cv2.PSNR(plain, sharp) + 0.3


def test_without_smoothness_and_momentum_it_is_the_textbook_algorithm(face: Image) -> None:
    """Only far from the border, which the textbook does not treat."""
    kernel = kernels.gaussian(1.0)
    seen = np.multiply(recorded(face, kernel), 1 / 255, dtype=np.float32)
    estimate = seen.copy()
    for _ in range(3):
        estimate *= kernels.blur(np.divide(seen, kernels.blur(estimate, kernel), dtype=np.float32), kernel)
    restored = deconvolve(seen, kernel, 3, smoothness=0, momentum=False)
    assert restored[32:96, 32:96] == pytest.approx(estimate[32:96, 32:96].clip(0, 1), abs=2e-3)


def test_a_point_kernel_changes_nothing(face: Image) -> None:
    assert np.array_equal(deconvolve(face, kernels.box(1), 5, smoothness=0), face.clip(1, 255) * (face > 0))


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([1, 3]),
    name=st.sampled_from(sorted(KERNELS)),
    floating=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_picture_keeps_shape_type_and_range(
    shape: tuple[int, int], channels: int, name: str, floating: bool, seed: int
) -> None:
    drawn = np.random.default_rng(seed).integers(0, 256, (*shape, channels), np.uint8)
    if floating:
        check(np.multiply(drawn, 1 / 255, dtype=np.float32), KERNELS[name], 1)
    else:
        check(drawn, KERNELS[name], 255)


def check(picture: ImageOrArray, kernel: Array, white: float) -> None:
    before = picture.copy()
    restored = deconvolve(picture, kernel, 5)
    assert restored.shape == picture.shape
    assert restored.dtype == picture.dtype
    assert np.isfinite(restored).all()
    assert restored.min() >= 0
    assert restored.max() <= white
    assert np.array_equal(picture, before)


@pytest.mark.parametrize(
    "kernel",
    [
        np.full((4, 4), 1 / 16, np.float32),
        np.full((3, 3), 1.0, np.float32),
        np.full((3, 3), 1 / 9, np.float64),
        np.array([[-1, 1, 1]], np.float32),
        np.ones(1, np.float32),
    ],
)
def test_what_is_no_kernel_is_refused(face: Image, kernel: Array) -> None:
    with pytest.raises(ValueError, match="a kernel is"):
        deconvolve(face, kernel)
