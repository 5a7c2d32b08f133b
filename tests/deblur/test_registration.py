from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from deblur import kernels, registration
from stream.values import Array, FaceCrop
from tests.deblur.conftest import MakeCrop


def astray(crop: FaceCrop, turn: float, scale: float, shift: tuple[float, float]) -> FaceCrop:
    """Misalign a crop, as wrong landmarks do: `turn` in degrees, `shift` in pixels."""
    center = (crop.image.shape[1] - 1) / 2
    matrix = cv2.getRotationMatrix2D((center, center), turn, scale)
    matrix[:, 2] = matrix[:, 2] + shift
    image = cv2.warpAffine(crop.image, matrix, crop.image.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)
    there: Array = (np.vstack([matrix, (0, 0, 1)]) @ np.vstack([crop.matrix, (0, 0, 1)]))[:2].astype(np.float32)
    return replace(crop, image=np.asarray(image, np.uint8), matrix=there)


def inner(crop: FaceCrop) -> Array:
    return crop.image[24:-24, 24:-24].astype(np.float32)


@pytest.mark.parametrize(("turn", "scale", "shift"), [(0, 1, (3.4, -5.2)), (4, 1.06, (-2, 1.5)), (-3, 0.93, (6, 6))])
def test_what_lay_astray_lies_where_it_should(
    make_crop: MakeCrop, turn: float, scale: float, shift: tuple[float, float]
) -> None:
    shaken, otherwise = (make_crop(kernels.trajectory(12, np.random.default_rng(seed)), seed=seed) for seed in (0, 1))
    off = astray(otherwise, turn, scale, shift)
    laid = replace(off, image=registration.register_to(off, shaken))
    left, before = (np.abs(inner(each) - inner(otherwise)).mean() for each in (laid, off))
    assert left < 0.35 * before
    assert left < 6


def test_a_crop_laid_over_itself_stays_where_it_is(make_crop: MakeCrop) -> None:
    crop = make_crop(kernels.line(9, 4))
    assert np.abs(registration.register_to(crop, crop).astype(int) - crop.image).max() <= 1


def test_pictures_that_have_nothing_in_common_are_laid_somewhere(make_crop: MakeCrop) -> None:
    crop = make_crop()
    flat = replace(crop, image=np.full_like(crop.image, 7))
    assert (registration.register_to(flat, crop) == 7).all()
    assert registration.register_to(crop, flat).shape == crop.image.shape
