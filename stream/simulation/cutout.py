"""A person cut out of a photograph, to be moved past the simulated camera.

Everything here is in linear light: the amount of light a pixel received, as a sensor adds it up. Photographs and
video hold it gamma-encoded (IEC 61966-2-1, sRGB).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.values import Array, Box, Image

SEGMENTED_FACE = 64
"""Width of the face, in pixels, at which a photograph is segmented: fine enough for hair and ears, and quick."""
FEATHER = 0.02
"""Softness of a cutout's edge: the sigma of a Gaussian, in face widths."""
_LEVELS = 4096
_ROUNDS = 4

_encoded = np.arange(256) / 255
_DECODE = np.where(_encoded <= 0.04045, _encoded / 12.92, ((_encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)
_light = np.arange(_LEVELS) / (_LEVELS - 1)
_gamma = np.where(_light <= 0.0031308, _light * 12.92, 1.055 * _light ** (1 / 2.4) - 0.055)
_ENCODE = np.rint(_gamma * 255).astype(np.uint8)


def linear(image: Image) -> Array:
    """Gamma-encoded 0-255 to linear light 0..1."""
    return np.asarray(_DECODE[image], np.float32)


def encoded(light: Array) -> Image:
    """Linear light 0..1 to gamma-encoded 0-255, to half a level (one level in the deepest shadows)."""
    return np.asarray(_ENCODE[(light * (_LEVELS - 1) + 0.5).astype(np.uint16)], np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """Head and shoulders: `light` is H x W x 4 float32, BGR in linear light times alpha, then alpha (0..1). `face`
    lies in its pixels."""

    light: Array
    face: Box

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.light.shape[1], self.light.shape[0]


def cut(photo: Image, face: Box, width: float) -> Cutout:
    """Cut the person whose face is at `face` out of a photograph, scaled so that the face is `width` pixels wide.

    The silhouette is found by GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004) from a head-and-shoulders prior
    around the face; the face itself is always in it. The same photo gives the same cutout.
    """
    photo, face = _surroundings(photo, face)
    scale = width / face.width
    size = max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))
    sigma = FEATHER * width
    outline = cv2.resize(_silhouette(photo, face), size, interpolation=cv2.INTER_LINEAR)
    # Nothing outside the photograph is known: the edge softens towards its sides too, save the one the body leaves by.
    bordered = cv2.copyMakeBorder(outline, 1, 0, 1, 1, cv2.BORDER_CONSTANT, value=0)
    alpha = cv2.GaussianBlur(cv2.copyMakeBorder(bordered, 0, 1, 0, 0, cv2.BORDER_REPLICATE), (0, 0), sigma)
    alpha = alpha[1:-1, 1:-1, np.newaxis]
    light = cv2.resize(linear(photo), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    placed = Box(face.x * scale, face.y * scale, face.width * scale, face.height * scale)
    return Cutout(np.concatenate([light * alpha, alpha], axis=2).astype(np.float32), placed)


def _surroundings(photo: Image, face: Box) -> tuple[Image, Box]:
    """The part of a photograph that a head and shoulders can fill, and where the face lies in it."""
    x, y = face.center
    left, right = max(0, round(x - 2.2 * face.width)), round(x + 2.2 * face.width)
    top, bottom = max(0, round(y - 1.2 * face.height)), round(y + 4 * face.height)
    return photo[top:bottom, left:right], face.shifted(-left, -top)


def _silhouette(photo: Image, face: Box) -> Array:
    """1 on the person and 0 elsewhere, float32, at segmentation size."""
    scale = SEGMENTED_FACE / face.width
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    prior = _prior(small.shape[:2], face.center[0] * scale, face.center[1] * scale, face.height * scale)
    cv2.setRNGSeed(0)
    no_box, colours = (0, 0, 0, 0), np.zeros((2, 1, 65))
    cv2.grabCut(small, prior, no_box, colours[0], colours[1], _ROUNDS, cv2.GC_INIT_WITH_MASK)
    person = np.isin(prior, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    smooth = cv2.morphologyEx(cv2.morphologyEx(person, cv2.MORPH_OPEN, disc), cv2.MORPH_CLOSE, disc)
    _, parts, areas, _ = cv2.connectedComponentsWithStats(smooth)
    largest = 1 + int(np.argmax(areas[1:, cv2.CC_STAT_AREA]))
    return np.asarray(parts == largest, np.float32)


def _prior(shape: tuple[int, ...], x: float, y: float, tall: float) -> NDArray[np.uint8]:
    """Where a person whose face is centred at (x, y) must, may, may not and cannot be, for GrabCut."""
    wide = float(SEGMENTED_FACE)
    shoulders = y + 0.75 * tall
    mask = np.full(shape, cv2.GC_BGD, np.uint8)

    def ellipse(centre_y: float, half_width: float, half_height: float, label: int) -> None:
        cv2.ellipse(mask, ((x, centre_y), (2 * half_width, 2 * half_height), 0), label, cv2.FILLED)

    def down_from(top: float, half_width: float, label: int) -> None:
        mask[max(0, round(top)) :, max(0, round(x - half_width)) : max(0, round(x + half_width))] = label

    ellipse(y - 0.1 * tall, 1.05 * wide, 1.15 * tall, cv2.GC_PR_BGD)
    down_from(shoulders, 1.9 * wide, cv2.GC_PR_BGD)
    ellipse(y - 0.1 * tall, 0.68 * wide, 0.8 * tall, cv2.GC_PR_FGD)
    ellipse(shoulders + 1.6 * tall, 1.3 * wide, 1.6 * tall, cv2.GC_PR_FGD)
    down_from(shoulders + 1.6 * tall, 1.3 * wide, cv2.GC_PR_FGD)
    ellipse(y, 0.5 * wide, 0.58 * tall, cv2.GC_FGD)
    down_from(y, 0.28 * wide, cv2.GC_FGD)
    return mask
