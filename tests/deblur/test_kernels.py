"""Every kernel keeps brightness and position of the image, and has the requested extent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft

from deblur import kernels
from stream.values import Array, Image

reaches = st.floats(0.5, 40)
angles = st.floats(0, 2 * np.pi)


def assert_a_kernel(kernel: Array) -> None:
    assert kernel.dtype == np.float32
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1, abs=1e-4)
    offset = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    assert abs(kernel.sum(0) @ offset) < 1e-2
    assert abs(kernel.sum(1) @ offset) < 1e-2


@given(st.integers(0, 20))
def test_box(half: int) -> None:
    kernel = kernels.box(2 * half + 1)
    assert_a_kernel(kernel)
    assert kernel.shape == (2 * half + 1, 2 * half + 1)


@given(st.floats(0, 45), angles)
def test_line_has_its_length_and_direction(length: float, angle: float) -> None:
    kernel = kernels.line(length * np.cos(angle), length * np.sin(angle))
    assert_a_kernel(kernel)
    assert kernels.extent(kernel) == pytest.approx(length, abs=1.6)
    if length > 8:
        axis = np.linalg.eigh(kernels.covariance(kernel))[1][:, 1]
        assert abs(axis @ (np.cos(angle), np.sin(angle))) > 0.999


def test_line_of_no_length_does_nothing() -> None:
    assert kernels.line(0, 0).tolist() == [[1.0]]


def test_line_along_a_row_covers_whole_pixels() -> None:
    assert kernels.line(4, 0)[2] == pytest.approx([1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], abs=0.01)


@given(st.floats(0.6, 25))
def test_disk_has_its_radius(radius: float) -> None:
    kernel = kernels.disk(radius)
    assert_a_kernel(kernel)
    assert kernels.extent(kernel) == pytest.approx(np.sqrt(3) * radius, abs=0.6)


@given(st.floats(0.5, 10), st.floats(0.5, 10), angles)
def test_gaussian_has_its_covariance(along: float, across: float, angle: float) -> None:
    kernel = kernels.gaussian(along, across, angle)
    assert_a_kernel(kernel)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = turn @ np.diag([along**2, across**2]) @ turn.T
    sampled = 0.06 + 0.01 * max(along, across) ** 2  # a ridge of half a pixel, slightly turned, falls between pixels
    assert kernels.covariance(kernel) == pytest.approx(expected, rel=0.05, abs=sampled)


@settings(max_examples=40, deadline=None)
@given(st.floats(1, 40), st.integers(0, 2**32 - 1))
def test_trajectory_spans_its_extent_and_repeats_by_seed(extent: float, seed: int) -> None:
    kernel = kernels.trajectory(extent, np.random.default_rng(seed))
    assert_a_kernel(kernel)
    assert np.array_equal(kernel, kernels.trajectory(extent, np.random.default_rng(seed)))
    lit = [np.flatnonzero(kernel.sum(axis)) for axis in (0, 1)]
    assert max(np.ptp(pixels) for pixels in lit) + 1 == pytest.approx(extent, abs=2)


def test_trajectories_differ() -> None:
    rng = np.random.default_rng(0)
    assert not np.array_equal(kernels.trajectory(19, rng), kernels.trajectory(19, rng))


@given(st.integers(0, 1000))
def test_a_measured_kernel_is_centered(seed: int) -> None:
    measured = np.random.default_rng(seed).random((9, 12)).astype(np.float32)
    assert_a_kernel(kernels.center(measured))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: kernels.box(4),
        lambda: kernels.disk(0),
        lambda: kernels.gaussian(-1),
        lambda: kernels.gaussian(1, 0),
        lambda: kernels.trajectory(0.5, np.random.default_rng(0)),
    ],
)
def test_impossible_kernels_are_refused(wrong: Callable[[], Array]) -> None:
    with pytest.raises(ValueError, match=r"kernel needs|spans at least"):
        wrong()


def test_blur_of_a_point_is_the_kernel_itself() -> None:
    picture = np.zeros((41, 41, 3), np.float32)
    picture[20, 20] = 255
    kernel = kernels.trajectory(13, np.random.default_rng(3))
    reach = kernel.shape[0] // 2
    seen = kernels.blur(picture, kernel)[20 - reach : 21 + reach, 20 - reach : 21 + reach]
    assert seen == pytest.approx(255 * np.repeat(kernel[:, :, None], 3, 2), abs=1e-3)


@settings(max_examples=20)
@given(reaches, angles)
def test_blur_keeps_an_even_picture(length: float, angle: float) -> None:
    picture = np.full((50, 60, 3), 173, np.uint8)
    kernel = kernels.line(length * np.cos(angle), length * np.sin(angle))
    assert kernels.blur(picture, kernel) == pytest.approx(np.full(picture.shape, 173.0), abs=0.05)


def test_a_recording_has_its_noise_and_stays_in_range() -> None:
    rng = np.random.default_rng(0)
    gray = kernels.add_sensor_noise(np.full((200, 200, 3), 128, np.float32), 0.01, rng)
    assert gray.dtype == np.uint8
    assert gray.std() == pytest.approx(np.hypot(2.55, np.sqrt(1 / 12)), rel=0.03)
    assert kernels.add_sensor_noise(np.full((9, 9, 3), 255, np.float32), 0.2, rng).max() == 255


@given(st.integers(3, 37), st.floats(0.4, 1.6), angles, st.integers(0, 99))
@settings(max_examples=20)
def test_warped_kernel_has_the_warped_covariance(size: int, scale: float, angle: float, seed: int) -> None:
    kernel = kernels.trajectory(size, np.random.default_rng(seed))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    warped = kernels.warp(kernel, turn)
    assert_a_kernel(warped)
    moved = turn @ kernels.covariance(kernel) @ turn.T
    assert np.abs(kernels.covariance(warped) - moved).max() < 0.26, "sharing among pixels adds at most a quarter"


def test_the_transfer_blurs_as_the_kernel_does(face: Image) -> None:
    kernel = kernels.trajectory(17, np.random.default_rng(0))
    spectrum = fft.rfft2(face.astype(np.float32), axes=(0, 1)) * kernels.transfer(kernel, face.shape[:2])[..., None]
    blurred = fft.irfft2(spectrum, s=face.shape[:2], axes=(0, 1))
    inner = np.s_[20:-20, 20:-20]
    np.testing.assert_allclose(blurred[inner], kernels.blur(face, kernel)[inner], atol=0.05)


def test_a_kernel_wider_than_the_picture_has_no_transfer() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        kernels.transfer(kernels.line(200, 0), (128, 128))
