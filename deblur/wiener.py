"""The Wiener filter: a known straight motion undone in one division, as a hint for the network.

Wiener, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series" (1949), with the gradient prior of Hunt
(1973): where the blur left nothing to amplify, the smoothest picture is taken.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from deblur import kernels
from stream.data import Array, Image

NOISE = 0.05
"""What is lost to noise against the power of the gradients: small restores more and rings more."""
_MARGIN = 26
"""Pixels by which a crop is continued, fading into its own blur, so that the transform sees no seam."""


def undo(image: Image, motion: tuple[float, float]) -> Image:
    """A crop (H x W x 3 uint8) with the uniform motion `motion` (x, y in crop pixels during the exposure) undone.

    It rings along the motion and at the edges; it is made for a network to look at, not for people.
    """
    around = ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))
    padded = np.pad(image.astype(np.float32), around, mode="reflect")
    shape = padded.shape[:2]
    transfer = transferred(kernels.line(*motion), shape)
    spectrum = fft.rfft2(_tapered(padded, transfer), axes=(0, 1)) * _inverse(transfer, shape)[..., None]
    undone = fft.irfft2(spectrum, s=shape, axes=(0, 1))[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return np.clip(np.rint(undone), 0, 255).astype(np.uint8)


def _tapered(padded: Array, transfer: NDArray[np.complex64]) -> Array:
    """The picture passing into its own circular blur towards the edges, so that the transform sees no seam."""
    shape = padded.shape[:2]
    blurred = fft.irfft2(fft.rfft2(padded, axes=(0, 1)) * transfer[..., None], s=shape, axes=(0, 1))
    return np.asarray(blurred + _window(shape) * (padded - blurred), np.float32)


@lru_cache(8)
def _window(shape: tuple[int, int]) -> Array:
    """1 over the crop, falling to 0 over the margin on a raised cosine."""
    ramps = []
    for side in shape:
        depth = np.minimum(np.arange(side), side - 1 - np.arange(side)) / _MARGIN
        ramps.append(0.5 - 0.5 * np.cos(np.pi * np.clip(depth, 0, 1)))
    return np.outer(*ramps)[..., None].astype(np.float32)


def _inverse(transfer: NDArray[np.complex64], shape: tuple[int, int]) -> NDArray[np.complex64]:
    power = transfer.real**2 + transfer.imag**2
    return np.asarray(transfer.conj() / (power + NOISE * _roughness(shape)), np.complex64)


def transferred(kernel: Array, shape: tuple[int, int]) -> NDArray[np.complex64]:
    """The half spectrum of a centred kernel on a picture of `shape`; the kernel's middle lies at the origin."""
    reach = kernel.shape[0] // 2
    framed = np.zeros(shape, np.float32)
    if kernel.shape[0] > min(shape):
        raise ValueError(f"a kernel of side {kernel.shape[0]} does not fit a picture of {shape[0]} x {shape[1]}")
    framed[: kernel.shape[0], : kernel.shape[1]] = kernel
    return np.asarray(fft.rfft2(np.roll(framed, (-reach, -reach), (0, 1))), np.complex64)


@lru_cache(8)
def _roughness(shape: tuple[int, int]) -> Array:
    """The power of the horizontal and vertical differences at each frequency, and a little for the mean."""
    down = 2 * np.pi * fft.fftfreq(shape[0])[:, None]
    across = 2 * np.pi * fft.rfftfreq(shape[1])
    return np.asarray(4 - 2 * np.cos(down) - 2 * np.cos(across) + 1e-3, np.float32)
