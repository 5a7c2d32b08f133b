from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from deblur import kernels, wiener
from stream.data import Image
from tests.deblur.conftest import MakeCrop


@pytest.fixture(scope="module")
def sharp(make_crop: MakeCrop) -> Image:
    return make_crop().image


@pytest.mark.parametrize(("length", "gain"), [(7, 3), (13, 2), (21, 0.5)])
@pytest.mark.parametrize("angle", [0.0, 0.7, 2.2])
def test_the_known_motion_is_undone(
    make_crop: MakeCrop, sharp: Image, length: float, angle: float, gain: float
) -> None:
    motion = length * math.cos(angle), length * math.sin(angle)
    blurred = make_crop(kernels.line(*motion)).image
    inner = np.s_[16:-16, 16:-16]
    before, after = (cv2.PSNR(picture[inner], sharp[inner]) for picture in (blurred, wiener.undo(blurred, motion)))
    assert after > before + gain


def test_another_motion_is_not(make_crop: MakeCrop, sharp: Image) -> None:
    blurred = make_crop(kernels.line(13, 0)).image
    right, wrong = (cv2.PSNR(wiener.undo(blurred, motion), sharp) for motion in ((13, 0), (0, 13)))
    assert right > wrong + 3


def test_the_way_along_the_line_does_not_matter(make_crop: MakeCrop) -> None:
    blurred = make_crop(kernels.line(9, 4)).image
    np.testing.assert_array_equal(wiener.undo(blurred, (9, 4)), wiener.undo(blurred, (-9, -4)))


def test_a_flat_crop_stays_flat() -> None:
    flat = np.full((128, 128, 3), 90, np.uint8)
    assert np.abs(wiener.undo(flat, (12, 5)).astype(int) - 90).max() <= 1


def test_a_motion_wider_than_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        wiener.transferred(kernels.line(200, 0), (128, 128))
