"""Blur estimation: correct in extent and direction, and independent of contrast, size and lighting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks import datasets
from benchmarks.blur_estimation import FAMILIES, draw
from deblur import kernels
from deblur.blur_estimation import BlurEstimator, decode_covariance, encode_covariance, scale
from stream.values import Array, Image
from tests.deblur.conftest import MakeCrop


@pytest.fixture(scope="module")
def measure() -> BlurEstimator:
    return BlurEstimator()


@pytest.mark.parametrize(("size", "enlarged"), [(1.0, 1.0), (datasets.LFW_SCALE, 1.0), (datasets.LFW_SCALE, 2.0)])
def test_ranks_as_the_true_extent(shared: Path, measure: BlurEstimator, size: float, enlarged: float) -> None:
    rng = np.random.default_rng(7)
    faces = [datasets.center_on_square(face, 208, size) for face in datasets.read(shared / "val/lfw160.tar", every=4)]
    samples = [draw(face, FAMILIES[i % len(FAMILIES)], enlarged, 0.01, rng) for i, face in enumerate(faces)]
    estimates = [measure.estimate(sample.image, sample.scale).extent for sample in samples]
    true = [kernels.extent(sample.kernel) for sample in samples]
    assert spearmanr(estimates, true).statistic > 0.9


def test_a_sharp_face_is_sharp(measure: BlurEstimator, make_crop: MakeCrop) -> None:
    assert measure.of(make_crop()).extent < 2


def test_longer_lines_blur_more(measure: BlurEstimator, make_crop: MakeCrop) -> None:
    estimates = [measure.of(make_crop(kernels.line(length, 0))).extent for length in (0, 6, 12, 24, 36)]
    assert estimates == sorted(estimates)


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2, 2.5])
def test_the_direction_of_motion_is_estimated(measure: BlurEstimator, make_crop: MakeCrop, angle: float) -> None:
    blur = measure.of(make_crop(kernels.line(20 * np.cos(angle), 20 * np.sin(angle))))
    assert blur.extent > 2 * blur.across
    assert abs(np.cos(blur.angle - angle)) > 0.95


@pytest.mark.parametrize("contrast", [0.5, 0.7])
def test_contrast_drops_out(measure: BlurEstimator, make_crop: MakeCrop, contrast: float) -> None:
    crop = make_crop(kernels.line(15, 4))
    paler = np.rint(crop.image * contrast + 60).clip(0, 255).astype(np.uint8)
    assert measure.estimate(paler).extent == pytest.approx(measure.of(crop).extent, rel=0.25)


def test_an_enlarged_face_is_soft_but_not_blurred(measure: BlurEstimator, face: Image) -> None:
    small = datasets.center_on_square(face, 70, 1 / 3)
    crop = datasets.crop_center(datasets.center_on_square(small, 208, 3), 128)
    assert measure.estimate(crop, 3).extent < 3
    assert measure.estimate(crop, 3).extent < measure.estimate(crop, 1).extent


@pytest.mark.parametrize(
    "kernel", [kernels.line(9, 4), kernels.gaussian(3), kernels.gaussian(5, 1, 0.4), kernels.box(1)]
)
def test_roots_are_undone(kernel: Array) -> None:
    assert decode_covariance(encode_covariance(kernel)).extent == pytest.approx(kernels.extent(kernel), abs=1e-3)


def test_the_larger_crop_is_measured_in_its_centre(measure: BlurEstimator, face: Image) -> None:
    assert measure.estimate(face) == measure.estimate(datasets.crop_center(face, 128))


def test_scale_is_that_of_the_matrix(make_crop: MakeCrop) -> None:
    assert scale(make_crop()) == 1


def test_a_crop_too_small_is_refused(measure: BlurEstimator) -> None:
    with pytest.raises(ValueError, match="128 x 128"):
        measure.estimate(np.zeros((112, 112, 3), np.uint8))


def test_a_blank_crop_has_some_answer(measure: BlurEstimator) -> None:
    assert np.isfinite(measure.estimate(np.zeros((128, 128, 3), np.uint8)).extent)
