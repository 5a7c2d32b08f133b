from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from deblur import kernels
from deblur.deblurrers import RichardsonLucyDeblurrer
from stream.errors import UsageError
from stream.values import Image
from unblur.evaluate.data.archives import centre
from unblur.evaluate.experiments import methods
from unblur.evaluate.experiments.methods import ORACLE, SEED, Makers, Probe, makers, probe

UPRIGHT = np.eye(2, 3, dtype=np.float32)


@pytest.fixture(scope="module")
def sharp(faces: dict[str, Image]) -> Image:
    return centre(faces["astronaut.png"], 128)


@pytest.fixture(scope="module")
def moved(faces: dict[str, Image]) -> Probe:
    """A straight blur of 19 pixels, known to be 18."""
    kernel = kernels.line(17.9, 6.5)
    image = kernels.add_sensor_noise(kernels.blur(faces["astronaut.png"], kernel), 0.01, np.random.default_rng(0))
    return probe(centre(image, 128), UPRIGHT, kernel, (17.0, 6.2))


def error(one: Image, other: Image) -> float:
    return float(np.square(one.astype(float) - other).mean())


@pytest.fixture(scope="module")
def deblurrers(deblurring_path: Path) -> Makers:
    return makers("onnxruntime", deblurring_path)


def test_the_more_a_row_is_told_the_nearer_it_comes(sharp: Image, moved: Probe, deblurrers: Makers) -> None:
    rows = methods.methods(methods.chosen([], deblurrers), deblurrers, straight=True)
    pairs = [(name, f"{name}, motion known") for name in ("cnn", "cnn, in company", "cnn, one look", "richardson-lucy")]
    assert list(rows) == [SEED, *itertools.chain(*pairs), ORACLE]
    errors = {name: error(sharp, restore([moved])[0].image) for name, restore in rows.items()}
    raw = error(sharp, moved.crop.image)
    assert errors[ORACLE] < errors["richardson-lucy, motion known"] < errors["richardson-lucy"] < raw


def test_a_row_by_the_network_is_the_networks_work(moved: Probe, deblurrers: Makers) -> None:
    rows = methods.methods(["cnn"], deblurrers, straight=True)
    blind, told = (restore([moved])[0] for restore in rows.values())
    assert blind.method == told.method == "cnn"
    assert not np.array_equal(blind.image, told.image)
    assert blind.blur > 3


def test_informed_rows_stand_only_where_the_motion_is_known(deblurrers: Makers) -> None:
    assert list(methods.methods(["richardson-lucy"], deblurrers, straight=False)) == ["richardson-lucy"]


def test_sharp_crops_are_left_alone_by_a_deblurrer(sharp: Image) -> None:
    probes = [probe(sharp, UPRIGHT, kernels.box(1), None)]
    (restored,) = methods.told_of(RichardsonLucyDeblurrer(), motion=False, others=False)(probes)
    assert restored.image is sharp


def test_unknown_method_is_named(deblurrers: Makers) -> None:
    with pytest.raises(UsageError, match="no method is called 'magic': there are richardson-lucy 5x5, cnn, "):
        methods.chosen(["magic"], deblurrers)
