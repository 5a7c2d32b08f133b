"""Networks and sample crops for the tests of recognition, each loaded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.alignment import align
from detectors.yunet import YuNet
from models.backends.selection import load
from recognize.embedders.embedder import normalize
from recognize.embedders.sface import SFace
from recognize.gallery.photo_checks import CheckedPhoto
from stream.storage.images import read_picture
from stream.values import Array, FaceDetection, Image


class Notes:
    """Records the progress of an enrollment."""

    def __init__(self) -> None:
        self.expected = 0
        self.photos: list[CheckedPhoto] = []

    def expect(self, photos: int) -> None:
        self.expected += photos

    def note(self, photo: CheckedPhoto, crop: Image | None) -> None:
        assert (crop is None) == (photo.embedding is None)
        self.photos.append(photo)


NETWORK = "some network"


@pytest.fixture(scope="session")
def sface(sface_path: Path) -> SFace:
    return SFace(load(sface_path, "onnxruntime"), sha256(sface_path.read_bytes()).hexdigest())


@pytest.fixture(scope="session")
def yunet(yunet_path: Path) -> YuNet:
    return YuNet(load(yunet_path, "onnxruntime"))


def cut(image: Image, face: FaceDetection) -> Image:
    return align(image, face.landmarks)[0]


def softened(image: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


@pytest.fixture(scope="session")
def crop_of(yunet: YuNet, portraits: Path) -> Callable[[str], Image]:
    """The largest face of a portrait, aligned."""

    def crop(name: str) -> Image:
        image = read_picture(portraits / name)
        return cut(image, max(yunet.detect(image), key=lambda face: face.box.area))

    return crop


def album(crops: Sequence[Image]) -> tuple[list[Image], NDArray[np.intp]]:
    """Make nine photos of each crop, with other position, rotation and lighting; and their labels."""
    rng = np.random.default_rng(0)
    return [_another(crop, rng) for crop in crops for _ in range(9)], np.repeat(np.arange(len(crops)), 9)


def _another(crop: Image, rng: np.random.Generator) -> Image:
    moved = cv2.getRotationMatrix2D((64, 64), rng.normal(0, 3), 1)
    moved[:, 2] += rng.normal(0, 1.5, 2).tolist()
    photo = cv2.warpAffine(crop, moved, crop.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)
    lit = photo * rng.uniform(0.7, 1.1) + rng.normal(0, 3, photo.shape)
    return np.asarray(lit.clip(0, 255), np.uint8)


def directions(count: int, seed: int = 0) -> Array:
    """Return `count` random, nearly orthogonal embeddings."""
    return normalize(np.random.default_rng(seed).normal(size=(count, 128)).astype(np.float32))
