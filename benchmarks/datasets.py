"""Reads the research photographs (`shared/data/README.md`) and aligns them as the aligner would."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from stream.values import Image
from unblur.evaluate.data import archives
from unblur.evaluate.data.archives import crop_center

__all__ = ["FFHQ_SCALE", "LFW_SCALE", "align_lfw", "center_on_square", "crop_center", "read"]

LFW_SCALE = 0.758
"""Aligned crop pixels per pixel of an LFW-deepfunneled photo (its mean five points against SFace's template)."""
_LFW_TO_TEMPLATE = np.array([[0.758, -0.023, -3.45], [0.023, 0.758, -0.49]])
FFHQ_SCALE = 2 / 3
"""The same for the 192 px faces."""


def read(archive: Path, every: int = 1) -> list[Image]:
    """Read every n-th image of a tar archive, sorted by name."""
    return list(archives.read(archive, every).values())


def center_on_square(picture: Image, side: int, scale: float, turn: float = 0.0) -> Image:
    """Scale an image (and rotate it by `turn` degrees) about its center onto a square, extended by reflection."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, scale)
    matrix[:, 2] += ((side - width) / 2, (side - height) / 2)
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(
        cv2.warpAffine(picture, matrix, (side, side), flags=smooth, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def align_lfw(photograph: Image, side: int) -> Image:
    """Warp an LFW-deepfunneled photo so that its five points lie, on average, on SFace's template in the center."""
    matrix = _LFW_TO_TEMPLATE + np.array([[0, 0, (side - 112) / 2], [0, 0, (side - 112) / 2]])
    warped = cv2.warpAffine(photograph, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.uint8)
