"""The committed network on faces outside its training data."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from deblur import kernels
from deblur.cnn import CNN, Inputs
from models.assets import manifest
from models.backends.selection import load
from stream.values import Array, Image
from tests.deblur.conftest import MakeCrop

SHUTTER = {"lobby": 1.0}


@pytest.fixture(scope="module")
def cnn() -> CNN:
    pinned = manifest.trained_network("deblur")
    return CNN(load(pinned.path, "onnxruntime", sha256=pinned.sha256), SHUTTER)


def _inputs(crop: Image) -> Inputs:
    """Inputs of a crop without motion and neighbors."""
    return Inputs(crop[None], crop[None], np.zeros((1, 2), np.float32), np.concatenate([crop, crop], 2)[None])


def _psnr(one: Image, other: Image) -> float:
    return float(cv2.PSNR(one, other))


@pytest.mark.parametrize("extent", [9, 14, 20])
def test_a_shaken_face_comes_nearer_to_the_sharp_one(cnn: CNN, make_crop: MakeCrop, extent: int) -> None:
    sharp = make_crop().image
    crops = [make_crop(kernels.trajectory(extent, np.random.default_rng(seed)), seed=seed) for seed in range(8)]
    restored = cnn.restore(crops)
    assert all(each.method == "cnn" for each in restored)
    gains = [_psnr(each.image, sharp) - _psnr(each.crop.image, sharp) for each in restored]
    assert np.mean(gains) > 1


@pytest.mark.parametrize("length", [12, 24])
def test_straight_motion_is_found_and_undone_still_better_when_it_is_known(
    cnn: CNN, make_crop: MakeCrop, length: int
) -> None:
    sharp = make_crop().image
    gains = []
    for angle in np.linspace(0, math.pi, 6, endpoint=False):
        motion = length * math.cos(angle), length * math.sin(angle)
        blind, informed = (make_crop(kernels.line(*motion), motion=each) for each in (None, motion))
        gains.append([_psnr(each.image, sharp) - _psnr(blind.image, sharp) for each in cnn.restore([blind, informed])])
    by_itself, told_of_it = np.mean(gains, 0)
    assert 2.5 < by_itself < told_of_it


@pytest.mark.parametrize("extent", [14, 20])
def test_each_of_three_passes_improves_the_result(make_crop: MakeCrop, extent: int) -> None:
    pinned = manifest.trained_network("deblur")
    session, sharp = load(pinned.path, "onnxruntime"), make_crop().image
    crops = [make_crop(kernels.trajectory(extent, np.random.default_rng(seed)), seed=seed) for seed in range(8)]
    once, twice, thrice = (
        np.mean([_psnr(each.image, sharp) for each in CNN(session, passes=passes).restore(crops)])
        for passes in (1, 2, 3)
    )
    assert once + 0.3 < twice < thrice


@pytest.mark.parametrize(
    "kernel", [kernels.line(16, 5), kernels.trajectory(16, np.random.default_rng(2)), kernels.box(1)]
)
def test_it_estimates_the_kernel_of_a_blurred_face(make_crop: MakeCrop, kernel: Array) -> None:
    """By the shared weight of the estimated and the true kernel, smoothed by a pixel."""
    pinned = manifest.trained_network("deblur")
    _, estimated = _inputs(make_crop(kernel).image).run(load(pinned.path, "onnxruntime"))
    soft = [cv2.GaussianBlur(each, (0, 0), 1) for each in (estimated[0], kernels.resize_support(kernel, 49))]
    assert np.minimum(*soft).sum() > 0.7


def test_the_network_itself_leaves_a_sharp_face_nearly_as_it_is(make_crop: MakeCrop) -> None:
    """Without the gate, which would not pass a sharp crop."""
    pinned = manifest.trained_network("deblur")
    sharp = make_crop().image
    restored = _inputs(sharp).run(load(pinned.path, "onnxruntime"))[0][0]
    assert _psnr(restored, sharp) > 32


def test_neighbor_crops_improve_the_result(cnn: CNN, make_crop: MakeCrop) -> None:
    sharp, gains = make_crop().image, []
    for seed in range(6):
        crop, *others = (make_crop(kernels.trajectory(18, np.random.default_rng((seed, n))), seed=n) for n in range(3))
        alone, together = cnn.restore([crop, replace(crop, neighbors=tuple(others))])
        gains.append(_psnr(together.image, sharp) - _psnr(alone.image, sharp))
    assert np.mean(gains) > 0.2
