"""Conditioning inputs of the deblurring network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur import conditioning, kernels
from stream.values import Image
from tests.deblur.conftest import MakeCrop

lengths, angles = st.floats(3, 48), st.floats(-np.pi, np.pi)


@given(lengths, angles)
def test_both_ways_along_a_line_are_one_motion_and_its_length_is_kept(length: float, angle: float) -> None:
    x, y = length * np.cos(angle), length * np.sin(angle)
    assert conditioning.encode_motion((x, y)) == pytest.approx(conditioning.encode_motion((-x, -y)), abs=1e-5)
    assert conditioning.motion_lengths(
        np.stack([conditioning.encode_motion((x, y)), conditioning.encode_motion(None)])
    ) == pytest.approx([length, 0], rel=1e-5)


@given(lengths, angles)
def test_lines_at_right_angles_are_opposite(length: float, angle: float) -> None:
    x, y = length * np.cos(angle), length * np.sin(angle)
    assert conditioning.encode_motion((x, y)) == pytest.approx(-conditioning.encode_motion((-y, x)), abs=1e-5)


def test_an_unknown_motion_is_encoded_as_zero(face: Image) -> None:
    assert not conditioning.encode_motion(None).any()
    assert conditioning.encode_motion(None).dtype == conditioning.encode_motion((3.0, 4.0)).dtype == np.float32
    assert conditioning.deconvolve_motion(face, None) is face


def test_a_known_motion_is_undone_in_the_picture(make_crop: MakeCrop, face: Image) -> None:
    motion = 12.0, 5.0
    blurred = make_crop(kernels.line(*motion)).image
    sharp = face[40:168, 40:168].astype(float)
    errors = [
        np.square(picture - sharp).mean() for picture in (blurred, conditioning.deconvolve_motion(blurred, motion))
    ]
    assert errors[1] < 0.8 * errors[0]


def test_deconvolution_with_the_estimated_kernel_improves_the_crop(make_crop: MakeCrop, face: Image) -> None:
    kernel = kernels.trajectory(14, np.random.default_rng(3))
    blurred = make_crop(kernel).image
    sharp = face[40:168, 40:168].astype(float)
    errors = [
        np.square(picture - sharp).mean()
        for picture in (blurred, conditioning.deconvolve_with_kernel(blurred, kernels.resize_support(kernel, 49)))
    ]
    assert errors[1] < 0.6 * errors[0]


def test_no_blur_is_nothing_to_undo(face: Image) -> None:
    crop = face[:128, :128]
    assert conditioning.deconvolve_with_kernel(crop, kernels.resize_support(kernels.box(1), 49)) is crop


def test_doubts_are_left_out(make_crop: MakeCrop) -> None:
    blurred, kernel = make_crop(kernels.line(12, 0)).image, kernels.resize_support(kernels.line(12, 0), 49)
    doubtful = np.asarray((kernel + 0.002) / (kernel + 0.002).sum(), np.float32)
    apart = np.abs(
        conditioning.deconvolve_with_kernel(blurred, doubtful).astype(int)
        - conditioning.deconvolve_with_kernel(blurred, kernel)
    )
    assert apart.max() <= 8
