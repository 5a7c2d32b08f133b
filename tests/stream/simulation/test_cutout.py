"""Cutting people out of photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.simulation.cutout import Cutout, cut, encoded, linear
from stream.values import Box, Image

COLLINS = Box(178, 63, 90, 114)
"""Her face in astronaut.png, as YuNet finds it."""


@pytest.fixture(scope="module")
def astronaut(portraits: Path) -> Image:
    return np.asarray(cv2.imread(str(portraits / "astronaut.png")), np.uint8)


@pytest.fixture(scope="module")
def cutout(astronaut: Image) -> Cutout:
    return cut(astronaut, COLLINS, 60)


def test_light_and_gamma_are_inverse() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1).repeat(3, axis=2)
    assert np.abs(encoded(linear(levels)).astype(int) - levels).max() <= 1
    assert (encoded(linear(levels))[:, 40:] == levels[:, 40:]).all()


def test_middle_grey_is_a_fifth_of_the_light() -> None:
    assert linear(np.full((1, 1, 3), 118, np.uint8))[0, 0, 0] == pytest.approx(0.18, abs=0.003)


def test_face_gets_the_asked_width_and_is_whole(cutout: Cutout) -> None:
    face = cutout.face
    assert face.width == pytest.approx(60)
    x, y = (round(part) for part in face.center)
    middle = cutout.light[y - 25 : y + 25, x - 20 : x + 20, 3]
    assert middle.min() > 0.99


def test_background_is_gone(cutout: Cutout) -> None:
    alpha = cutout.light[..., 3]
    assert alpha[:200, :40].max() < 0.01, "there is only background beside her"
    assert (cutout.light[alpha < 0.01][:, :3] < 0.02).all(), "light is premultiplied"
    assert 0.2 < alpha.mean() < 0.8


def test_person_looks_as_in_the_photograph(astronaut: Image, cutout: Cutout) -> None:
    x, y = (round(part) for part in cutout.face.center)
    seen = encoded(cutout.light[y - 20 : y + 20, x - 15 : x + 15, :3]).mean(axis=(0, 1))
    cx, cy = (round(part) for part in COLLINS.center)
    photographed = astronaut[cy - 30 : cy + 30, cx - 23 : cx + 23].mean(axis=(0, 1))
    assert seen == pytest.approx(photographed, abs=6)


def test_same_photograph_gives_the_same_cutout(astronaut: Image, cutout: Cutout) -> None:
    cv2.setRNGSeed(123)
    assert np.array_equal(cut(astronaut, COLLINS, 60).light, cutout.light)


def test_face_that_fills_the_photograph_can_be_cut(astronaut: Image) -> None:
    tight = astronaut[55:190, 170:275]
    cutout = cut(tight, COLLINS.shifted(-170, -55), 80)
    assert cutout.light[..., 3].max() > 0.99
    assert cutout.light[:, (0, -1), 3].max() < 0.9, "the edge softens where the photograph ends"
