"""The committed network on faces that it has never seen."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from deblur import kernels
from deblur.cnn import CNN
from models import manifest
from models.runtime import load
from stream.data import Image
from tests.deblur.conftest import MakeCrop

SHUTTER = {"lobby": 1.0}


@pytest.fixture(scope="module")
def cnn() -> CNN:
    pinned = manifest.own("deblur")
    return CNN(load(pinned.path, "onnxruntime", sha256=pinned.sha256), SHUTTER)


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
def test_it_does_better_when_the_motion_is_known(cnn: CNN, make_crop: MakeCrop, length: int) -> None:
    sharp = make_crop().image
    gains = []
    for angle in np.linspace(0, math.pi, 6, endpoint=False):
        motion = length * math.cos(angle), length * math.sin(angle)
        blind, told = (make_crop(kernels.line(*motion), motion=each) for each in (None, motion))
        one, other = (each.image for each in cnn.restore([blind, told]))
        gains.append(_psnr(other, sharp) - _psnr(one, sharp))
    assert np.mean(gains) > 0.5


def test_the_network_itself_leaves_a_sharp_face_nearly_as_it_is(make_crop: MakeCrop) -> None:
    """Without the gate, which would not let it near."""
    pinned = manifest.own("deblur")
    sharp = make_crop().image
    restored = load(pinned.path, "onnxruntime").run(sharp[None], sharp[None], np.zeros((1, 2), np.float32))[0][0]
    assert _psnr(restored, sharp) > 32
