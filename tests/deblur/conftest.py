"""A sharp face, larger than a crop, for blurring before cropping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur import kernels
from stream.values import Array, FaceCrop, FaceQuality, Image

MakeCrop = Callable[..., FaceCrop]


@pytest.fixture(scope="session")
def face(portraits: Path) -> Image:
    """208 x 208, the face about as large as in an aligned crop."""
    portrait = np.asarray(cv2.imread(str(portraits / "astronaut.png")), np.uint8)
    return np.asarray(cv2.resize(portrait[5:245, 104:344], (208, 208), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture(scope="session")
def make_crop(face: Image) -> MakeCrop:
    """Make a 128 x 128 crop of the face, blurred by `kernel`, with sensor noise."""

    def make(
        kernel: Array | None = None, motion: tuple[float, float] | None = None, camera: str = "lobby", seed: int = 0
    ) -> FaceCrop:
        light = face.astype(np.float32) if kernel is None else kernels.blur(face, kernel)
        image = kernels.add_sensor_noise(light, 0.005, np.random.default_rng(seed))[40:168, 40:168]
        return FaceCrop(camera, 1, 0, 0.0, image, np.eye(2, 3, dtype=np.float32), motion, FaceQuality(1, 1, 1))

    return make
