"""Conditioning inputs of the deblurring network: the deconvolved crop, the encoded motion, and aligned neighbor crops.

Training uses the same functions for its samples.
"""

from __future__ import annotations

import math

import numpy as np

from deblur import kernels, registration
from deblur.richardson_lucy import deconvolve
from stream.tracking.analyzer import NEIGHBORS
from stream.values import Array, FaceCrop, Image

_PRUNING = 0.1
"""Share of a kernel's largest value below which values are set to 0."""
UNIT = 32.0
"""Crop pixels of motion that are encoded as 1."""


def deconvolve_motion(image: Image, motion: tuple[float, float] | None) -> Image:
    """Deconvolve the crop by its straight motion (x, y in crop pixels during the exposure), by Richardson-Lucy; return
    `image` itself if the motion is not known."""
    if motion is None:
        return image
    return deconvolve(image, kernels.line(*motion), conditioning_iterations(math.hypot(*motion)))


def deconvolve_with_kernel(image: Image, kernel: Array) -> Image:
    """Deconvolve the crop with the kernel that the network estimated (`kernel`, sum 1)."""
    pruned = prune_kernel(kernel)
    return image if pruned.shape[0] == 1 else deconvolve(image, pruned, conditioning_iterations(kernels.extent(pruned)))


def prune_kernel(kernel: Array) -> Array:
    """Remove the small, uncertain values of an estimated kernel; the result is trimmed and has sum 1."""
    pruned = np.where(kernel < _PRUNING * kernel.max(), 0, kernel)
    rows, columns = np.nonzero(pruned)
    middle = kernel.shape[0] // 2
    reach = int(max(np.abs(rows - middle).max(), np.abs(columns - middle).max()))
    return kernels.resize_support(pruned, 2 * reach + 1)


def align_neighbors(crop: FaceCrop) -> Image:
    """Register the neighbor crops to the crop: H x W x 6, stacked by channel; the crop itself takes the place of
    missing ones."""
    aligned = [registration.register_to(neighbor, crop) for neighbor in crop.neighbors[:NEIGHBORS]]
    return np.concatenate([*aligned, *[crop.image] * (NEIGHBORS - len(aligned))], 2)


def conditioning_iterations(length: float) -> int:
    """Return the number of Richardson-Lucy steps: fewer than `final_iterations`, since the network continues from
    there."""
    return round(8 + length / 3)


def encode_motion(motion: tuple[float, float] | None) -> Array:
    """Encode a motion for the network, float32: the direction along the line does not matter, so the angle is doubled.
    (0, 0) if it is not known."""
    if motion is None:
        return np.zeros(2, np.float32)
    along = complex(*motion)
    doubled = along * along / (abs(along) * UNIT)
    return np.array([doubled.real, doubled.imag], np.float32)


def motion_lengths(encoded: Array) -> Array:
    """Return the lengths in crop pixels of encoded motions (N x 2); 0 for an unknown one."""
    return np.asarray(UNIT * np.linalg.norm(encoded, axis=-1), np.float32)
