from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from deblur import kernels
from deblur.deblurrers import RichardsonLucyDeblurrer
from stream.errors import UsageError
from stream.values import Image
from unblur.evaluate.data.archives import crop_center
from unblur.evaluate.experiments import methods
from unblur.evaluate.experiments.methods import (
    ORACLE,
    PRESET,
    DeblurrerFactories,
    Probe,
    deblurrer_factories,
    make_probe,
)

UPRIGHT = np.eye(2, 3, dtype=np.float32)


@pytest.fixture(scope="module")
def sharp(faces: dict[str, Image]) -> Image:
    return crop_center(faces["astronaut.png"], 128)


@pytest.fixture(scope="module")
def moved(faces: dict[str, Image]) -> Probe:
    """A straight blur of 19 pixels, known to be 18."""
    kernel = kernels.line(17.9, 6.5)
    image = kernels.add_sensor_noise(kernels.blur(faces["astronaut.png"], kernel), 0.01, np.random.default_rng(0))
    return make_probe(crop_center(image, 128), UPRIGHT, kernel, (17.0, 6.2))


def error(one: Image, other: Image) -> float:
    return float(np.square(one.astype(float) - other).mean())


@pytest.fixture(scope="module")
def deblurrers(deblurring_path: Path) -> DeblurrerFactories:
    return deblurrer_factories("onnxruntime", deblurring_path)


def test_more_knowledge_of_the_blur_restores_better(sharp: Image, moved: Probe, deblurrers: DeblurrerFactories) -> None:
    rows = methods.make_rows(methods.select_methods([], deblurrers), deblurrers, straight=True)
    pairs = [(name, f"{name}, motion known") for name in ("cnn", "cnn, neighbors", "cnn, one pass", "richardson-lucy")]
    assert list(rows) == [PRESET, *itertools.chain(*pairs), ORACLE]
    errors = {name: error(sharp, restore([moved])[0].image) for name, restore in rows.items()}
    raw = error(sharp, moved.crop.image)
    assert errors[ORACLE] < errors["richardson-lucy, motion known"] < errors["richardson-lucy"] < raw


def test_the_network_restores_its_rows(moved: Probe, deblurrers: DeblurrerFactories) -> None:
    rows = methods.make_rows(["cnn"], deblurrers, straight=True)
    blind, informed = (restore([moved])[0] for restore in rows.values())
    assert blind.method == informed.method == "cnn"
    assert not np.array_equal(blind.image, informed.image)
    assert blind.blur > 3


def test_rows_with_known_motion_need_a_straight_blur(deblurrers: DeblurrerFactories) -> None:
    assert list(methods.make_rows(["richardson-lucy"], deblurrers, straight=False)) == ["richardson-lucy"]


def test_a_deblurrer_does_not_change_sharp_crops(sharp: Image) -> None:
    probes = [make_probe(sharp, UPRIGHT, kernels.box(1), None)]
    (restored,) = methods.restore_with(RichardsonLucyDeblurrer(), motion=False, neighbors=False)(probes)
    assert restored.image is sharp


def test_an_unknown_method_raises(deblurrers: DeblurrerFactories) -> None:
    with pytest.raises(UsageError, match="no method is called 'magic': there are richardson-lucy 5x5, cnn, "):
        methods.select_methods(["magic"], deblurrers)


def test_methods_of_the_last_release_are_read_under_their_old_names() -> None:
    factories = methods.deblurrer_factories()
    assert list(methods.select_methods(["cnn, one look", "cnn, in company"], factories)) == [
        "cnn, one pass",
        "cnn, neighbors",
    ]
