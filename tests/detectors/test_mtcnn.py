"""Compares MTCNN with YuNet on the same images; runs only where the extra `facenet` is installed."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from detectors.mtcnn import MTCNN
from detectors.yunet import YuNet
from models.backends.selection import ModelError, load
from stream.values import Box, Image

INSTALLED = importlib.util.find_spec("facenet_pytorch") is not None
needs_facenet = pytest.mark.skipif(not INSTALLED, reason="the extra `facenet` is not installed")


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    common = max(0.0, width) * max(0.0, height)
    return common / (one.area + other.area - common)


@pytest.mark.skipif(INSTALLED, reason="the extra `facenet` is installed")
def test_a_missing_extra_says_how_to_install_it() -> None:
    with pytest.raises(ModelError, match=r"pip install 'unblur\[facenet\]'"):
        MTCNN()


@needs_facenet
@pytest.mark.slow
@pytest.mark.parametrize("name", ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"])
def test_it_finds_what_yunet_finds(portraits: Path, yunet_path: Path, name: str) -> None:
    picture = read(portraits / name)
    (theirs,) = MTCNN().detect(picture)
    (ours,) = YuNet(load(yunet_path)).detect(picture)
    eyes = float(np.linalg.norm(ours.landmarks[1] - ours.landmarks[0]))
    assert overlap(theirs.box, ours.box) > 0.6
    assert np.linalg.norm(theirs.landmarks - ours.landmarks, axis=1).max() < 0.25 * eyes


@needs_facenet
@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (5, 900), (120, 160)])
def test_pictures_without_a_face(shape: tuple[int, int]) -> None:
    assert MTCNN().detect(np.full((*shape, 3), 127, np.uint8)) == []
