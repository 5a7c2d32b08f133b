"""Deblurrers return sharp crops bit for bit, and blurred ones nearer to the sharp face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deblur import kernels
from deblur.deblurrers import (
    BoxKernelDeblurrer,
    PassThrough,
    RichardsonLucyDeblurrer,
    deconvolve_with_box_kernel,
    final_iterations,
)
from stream.interfaces import Deblurrer
from stream.values import Array, Image
from tests.deblur.conftest import MakeCrop

MODES: list[type[PassThrough] | type[RichardsonLucyDeblurrer] | type[BoxKernelDeblurrer]] = [
    PassThrough,
    RichardsonLucyDeblurrer,
    BoxKernelDeblurrer,
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("motion", [None, (0.0, 0.0), (30.0, 0.0)])
def test_a_sharp_crop_passes_bit_for_bit(
    make_crop: MakeCrop, mode: type[PassThrough], motion: tuple[float, float] | None
) -> None:
    deblurrer: Deblurrer = mode()
    crop = make_crop(None, motion)
    [restoration] = deblurrer.restore([crop])
    assert restoration.image is crop.image
    assert restoration.method == "none"
    assert restoration.blur < 3


@pytest.mark.parametrize("setting", [0.5, None])
@pytest.mark.parametrize("motion", [(30.0, 0.0), (0.0, -40.0), (25.0, 25.0)])
def test_motion_is_undone(make_crop: MakeCrop, face: Image, setting: float | None, motion: tuple[float, float]) -> None:
    crop = make_crop(kernels.line(0.5 * motion[0], 0.5 * motion[1]), motion)
    [restoration] = RichardsonLucyDeblurrer({} if setting is None else {"lobby": setting}).restore([crop])
    sharp = face[40:168, 40:168]
    assert restoration.method == "richardson-lucy"
    assert cv2.PSNR(restoration.image, sharp) > cv2.PSNR(crop.image, sharp) + 2


@pytest.mark.parametrize("kernel", [kernels.gaussian(3), kernels.disk(3.5), kernels.gaussian(4, 1, 0.6)])
def test_blur_without_motion_is_undone_by_its_gaussian(make_crop: MakeCrop, face: Image, kernel: Array) -> None:
    crop = make_crop(kernel)
    [restoration] = RichardsonLucyDeblurrer().restore([crop])
    sharp = face[40:168, 40:168]
    assert cv2.PSNR(restoration.image, sharp) > cv2.PSNR(crop.image, sharp) + 0.5


def test_pass_through_returns_blurred_crops_unchanged(make_crop: MakeCrop) -> None:
    crop = make_crop(kernels.line(20, 0), (40, 0))
    [restoration] = PassThrough().restore([crop])
    assert restoration.image is crop.image
    assert restoration.blur > 10


def test_the_box_kernel_deblurrer_removes_a_box_blur(make_crop: MakeCrop, face: Image) -> None:
    crop = make_crop(kernels.box(5))
    [restoration] = BoxKernelDeblurrer().restore([crop])
    sharp = face[40:168, 40:168]
    assert restoration.method == "richardson-lucy"
    assert np.array_equal(restoration.image, deconvolve_with_box_kernel(crop.image))
    assert cv2.PSNR(restoration.image, sharp) > cv2.PSNR(crop.image, sharp) + 1


def test_one_restoration_for_each_crop_in_order_and_the_same_each_time(make_crop: MakeCrop) -> None:
    crops = [make_crop(kernels.line(length, 0), (2 * length, 0), seed=length) for length in (20, 0, 12)]
    first, second = RichardsonLucyDeblurrer().restore(crops), RichardsonLucyDeblurrer().restore(crops)
    assert [restoration.crop for restoration in first] == crops
    assert all(np.array_equal(one.image, other.image) for one, other in zip(first, second, strict=True))
    assert RichardsonLucyDeblurrer().restore([]) == []


def test_longer_motion_takes_more_steps() -> None:
    assert final_iterations(5) < final_iterations(20) < final_iterations(40)


@pytest.mark.parametrize("deblurrer", [RichardsonLucyDeblurrer(), BoxKernelDeblurrer()])
def test_without_passes_nothing_is_restored(
    deblurrer: RichardsonLucyDeblurrer | BoxKernelDeblurrer, make_crop: MakeCrop
) -> None:
    blurred = make_crop(kernels.line(16, 0), (32.0, 0.0))
    assert deblurrer.restore([blurred])[0].method == "richardson-lucy"
    (untouched,) = deblurrer.restore([blurred], 0)
    assert (untouched.method, untouched.image is blurred.image) == ("none", True)
    assert untouched.blur > 3
