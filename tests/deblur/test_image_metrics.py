"""PSNR and SSIM against scikit-image's, on real faces."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblur.image_metrics import WINDOW, fidelity
from stream.storage.images import read_picture
from stream.values import Image

SHAPES = st.tuples(st.integers(WINDOW, 20), st.integers(WINDOW, 20), st.just(3))
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(arrays.arrays(np.uint8, shape), arrays.arrays(np.uint8, shape)))


@pytest.fixture(scope="module")
def sharp(portraits: Path) -> Image:
    return read_picture(portraits / "astronaut.png")


@pytest.mark.parametrize("width", [1, 3, 9])
def test_scores_of_a_blurred_portrait_equal_those_of_scikit_image(sharp: Image, width: int) -> None:
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), width), np.uint8)
    scores = fidelity(blurred, sharp)
    assert scores.psnr == pytest.approx(peak_signal_noise_ratio(sharp, blurred), abs=1e-9)
    assert scores.ssim == pytest.approx(structural_similarity(sharp, blurred, channel_axis=-1), abs=1e-5)


@given(PAIRS)
def test_scores_of_any_two_images_equal_those_of_scikit_image(pair: tuple[Image, Image]) -> None:
    assert fidelity(*pair).ssim == pytest.approx(structural_similarity(*pair, channel_axis=-1), abs=1e-4)


def test_a_picture_is_as_near_to_itself_as_can_be(sharp: Image) -> None:
    scores = fidelity(sharp, sharp)
    assert scores.psnr == math.inf
    assert scores.ssim == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("height", "width"), [(20, 21), (WINDOW - 1, 20)])
def test_pictures_that_cannot_be_compared_are_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match="two pictures of one size"):
        fidelity(np.zeros((height, width, 3), np.uint8), np.zeros((height, 20, 3), np.uint8))


@pytest.mark.parametrize("rows", [512, 40])
def test_a_large_image_is_scored_by_bands(sharp: Image, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.asarray(cv2.resize(sharp, (1024, 4 * rows)), np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(large, (0, 0), 3), np.uint8)
    whole = fidelity(blurred, large)
    monkeypatch.setattr("deblur.image_metrics.SAMPLED", large.shape[0] * large.shape[1] // 3)
    sampled = fidelity(blurred, large)
    assert sampled.psnr == whole.psnr
    assert sampled.ssim == pytest.approx(whole.ssim, abs=0.05)
