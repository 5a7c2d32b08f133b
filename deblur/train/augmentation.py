"""Augmentation of the sharp photos for training."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.values import Array, Image

SIDE = 128
"""Side of a crop in pixels."""
CANVAS = 180
"""Side of the image that is blurred before the crop is cut out of its center, so that what enters the crop is real; 180
has a fast transform."""
_ALIGNED = 0.75
"""Share of the samples that are aligned, with jitter; the others show a photo's center, as an unaligned image does."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A sharp photo, the 2 x 3 matrix from its pixels to those of its aligned 128 x 128 crop, and the embedding of that
    crop (D, length 1)."""

    image: Image
    matrix: Array
    identity: Array


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """An augmented photo: its canvas, and the matrix from the sample's crop to the aligned one."""

    canvas: Image
    upright: NDArray[np.float64]


def augment(photo: Photo, rng: np.random.Generator) -> View:
    """Augment a photo at random: shift, rotation, scale, mirror and lighting."""
    aligned = _homogeneous(photo.matrix)
    placed = _jitter(rng) @ aligned if rng.uniform() < _ALIGNED else _center(photo.image, rng)
    if rng.uniform() < 0.5:
        placed = np.array([[-1, 0, SIDE - 1], [0, 1, 0], [0, 0, 1]]) @ placed
    margin = (CANVAS - SIDE) / 2
    to_canvas = (np.array([[1, 0, margin], [0, 1, margin], [0, 0, 1]]) @ placed)[:2]
    warped = _warp(photo.image, to_canvas)
    return View(_relight(warped, rng), (aligned @ np.linalg.inv(placed))[:2])


def jitter(canvas: Image, rng: np.random.Generator) -> Image:
    """Misplace a canvas slightly, as a neighbor crop is after registration (`deblur/registration.py`)."""
    turn, scale = np.deg2rad(rng.normal(0, 0.7)), np.exp(rng.normal(0, 0.01))
    margin = (CANVAS - SIDE) / 2
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = margin, -margin
    return _warp(canvas, (there @ _similarity(scale, turn, rng.normal(0, 0.6, 2)) @ back)[:2])


def _jitter(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw an alignment error around the crop's center: that of landmarks on a blurred face, and a little more."""
    turn, scale = np.deg2rad(rng.normal(0, 5)), np.exp(rng.normal(0, 0.1))
    return _similarity(scale, turn, rng.normal(0, 3, 2))


def _similarity(scale: float, turn: float, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    center = (SIDE - 1) / 2
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    moved = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    back = np.array([[1, 0, -center], [0, 1, -center], [0, 0, 1]])
    there = np.array([[1, 0, center + shift[0]], [0, 1, center + shift[1]], [0, 0, 1]])
    return np.asarray(there @ moved @ back)


def _center(image: Image, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the matrix of the photo's center, at about its own scale."""
    height, width = image.shape[:2]
    to_middle = np.array([[1, 0, (SIDE - width) / 2], [0, 1, (SIDE - height) / 2], [0, 0, 1]])
    placed = _similarity(np.exp(rng.uniform(-0.4, 0.2)), np.deg2rad(rng.normal(0, 5)), rng.normal(0, 6, 2))
    return np.asarray(placed @ to_middle)


def _warp(image: Image, matrix: NDArray[np.float64]) -> Image:
    """Warp bicubically, since the target has to stay sharp; photos are not shrunk so far that this aliases much."""
    size = (CANVAS, CANVAS)
    warped = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.uint8)


def _relight(image: Image, rng: np.random.Generator) -> Image:
    """Change exposure and contrast at random; one time in twenty to gray, as of infrared cameras."""
    if rng.uniform() < 0.05:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None], 3, 2)
    gamma, gain, shift = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.15)), rng.normal(0, 12)
    curve = 255 * (np.arange(256) / 255) ** gamma
    table = np.clip(np.rint((curve - 128) * gain + 128 + shift), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def _homogeneous(matrix: Array) -> NDArray[np.float64]:
    return np.vstack([matrix, (0, 0, 1)]).astype(np.float64)
