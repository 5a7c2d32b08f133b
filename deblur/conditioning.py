"""What the network is told beside a crop: a picture with its motion undone, two numbers for the motion, and what other
pictures of the track show.

Training makes its samples by these very functions.
"""

from __future__ import annotations

import math

import numpy as np

from deblur import kernels, registration
from deblur.richardson_lucy import deconvolve
from stream.tracking.analyzer import NEIGHBORS
from stream.values import Array, FaceCrop, Image

_DOUBT = 0.1
"""Share of a kernel's brightest pixel below which a pixel is left out."""
UNIT = 32.0
"""Crop pixels of motion that the network sees as 1."""


def picture(image: Image, motion: tuple[float, float] | None) -> Image:
    """The crop with its straight motion (x, y in crop pixels during the exposure) undone by Richardson-Lucy; the very
    crop where the motion is not known."""
    if motion is None:
        return image
    return deconvolve(image, kernels.line(*motion), conditioning_iterations(math.hypot(*motion)))


def deconvolve_with_kernel(image: Image, kernel: Array) -> Image:
    """The crop with the blur undone that the network itself has told (`kernel`, sum 1)."""
    likely = firm(kernel)
    return image if likely.shape[0] == 1 else deconvolve(image, likely, conditioning_iterations(kernels.extent(likely)))


def firm(kernel: Array) -> Array:
    """A kernel that the network has told without its faint pixels, which are doubts; trimmed, with sum 1."""
    sure = np.where(kernel < _DOUBT * kernel.max(), 0, kernel)
    rows, columns = np.nonzero(sure)
    middle = kernel.shape[0] // 2
    reach = int(max(np.abs(rows - middle).max(), np.abs(columns - middle).max()))
    return kernels.framed(sure, 2 * reach + 1)


def others(crop: FaceCrop) -> Image:
    """H x W x 6: what other pictures of the track show, laid over the crop, side by side in colour; the crop itself
    where there is none."""
    laid = [registration.register_to(other, crop) for other in crop.neighbors[:NEIGHBORS]]
    return np.concatenate([*laid, *[crop.image] * (NEIGHBORS - len(laid))], 2)


def conditioning_iterations(length: float) -> int:
    """Fewer than where Richardson-Lucy has the last word: the network goes on from there."""
    return round(8 + length / 3)


def encoded(motion: tuple[float, float] | None) -> Array:
    """The motion as the network takes it, float32: which way along the line does not matter, so its angle is doubled.
    (0, 0) where it is not known."""
    if motion is None:
        return np.zeros(2, np.float32)
    along = complex(*motion)
    doubled = along * along / (abs(along) * UNIT)
    return np.array([doubled.real, doubled.imag], np.float32)


def lengths(encoded: Array) -> Array:
    """Crop pixels of the motions (N x 2) as they were encoded; 0 where none is known."""
    return np.asarray(UNIT * np.linalg.norm(encoded, axis=-1), np.float32)
