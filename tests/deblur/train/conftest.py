"""Photos to train on, made of public-domain portraits. Needs torch (the extra `train`); skips without."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra `train`")

from deblur.train.augmentation import Photo
from stream.storage.images import read_picture

_NAMES = ("obama", "obama2", "obama3", "biden")


@pytest.fixture(scope="session")
def photos(portraits: Path) -> list[Photo]:
    """160 px photos whose middle 128 px are the aligned crop; the identities are arbitrary directions."""
    made = []
    for number, name in enumerate(_NAMES):
        portrait = read_picture(portraits / f"{name}.jpg")
        side = min(portrait.shape[:2])
        small = cv2.resize(portrait[:side, :side], (160, 160), interpolation=cv2.INTER_AREA)
        matrix = np.array([[1, 0, -16], [0, 1, -16]], np.float32)
        made.append(Photo(np.asarray(small, np.uint8), matrix, np.eye(len(_NAMES), dtype=np.float32)[number]))
    return made
