"""Blur estimation: the second moments of a crop's point spread function, from its power spectrum.

A small network (one hidden layer of 32) computes them from the log power spectrum, pooled into rings and sectors. Its
coefficients are plain numbers in `blur_estimator.npz`, fitted on sharp faces blurred with known kernels by
`python -m benchmarks.blur_estimation --fit`. Sharpness measures (variance of the Laplacian, the re-blur ratio of Crete
et al. 2007) confuse a sharp, smooth face with a blurred, bearded one; a linear model of the same features ranks worse
(docs/design/deblurring.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from deblur import kernels
from stream.values import Array, FaceCrop, Image

COEFFICIENTS = Path(__file__).with_name("blur_estimator.npz")
_RING_EDGES = (0.012, 0.028, 0.044, 0.06, 0.08, 0.105, 0.14, 0.18, 0.23, 0.29, 0.36, 0.5)
"""Cycles per pixel; finest where long motion puts its first zeros."""
_SECTORS = 12
_REFERENCE_RINGS = 2
"""The lowest rings survive every blur; features are relative to them, and so independent of contrast."""
_SHARPEST = 0.4
"""Lower bound of the standard deviation in pixels of a blur along either axis: that of the pixel itself."""
SIDE = 128
"""Side in pixels of the crop's center, on which blur is measured."""

_hann = np.hanning(SIDE + 2)[1:-1]

_WINDOW = np.outer(_hann, _hann).astype(np.float32) / np.float32((_hann**2).mean())


def power(image: Image) -> Array:
    """Compute the power spectrum in squared gray levels, `SIDE` x (`SIDE` / 2 + 1), float32, in the order of `rfft2`.

    White noise of variance v gives v everywhere. The crop's center is weighted by a Hann window, so that its border
    leaves no cross. Raises ValueError for a crop smaller than `SIDE`.
    """
    top, left = (image.shape[0] - SIDE) // 2, (image.shape[1] - SIDE) // 2
    if min(top, left) < 0:
        raise ValueError(f"blur is measured on {SIDE} x {SIDE} pixels, the crop has {image.shape[:2]}")
    gray = cv2.cvtColor(image[top : top + SIDE, left : left + SIDE], cv2.COLOR_BGR2GRAY).astype(np.float32)
    gray -= np.vdot(gray, _WINDOW) / _WINDOW.sum()
    transform = scipy.fft.rfft2(gray * _WINDOW)
    return np.asarray((transform.real**2 + transform.imag**2) / SIDE**2, np.float32)


def frequencies() -> tuple[Array, Array]:
    """Return the vertical (column) and horizontal (row) frequencies of `power`, in cycles per pixel."""
    return (
        scipy.fft.fftfreq(SIDE).astype(np.float32)[:, None],
        scipy.fft.rfftfreq(SIDE).astype(np.float32)[None, :],
    )


@dataclass(frozen=True, slots=True)
class BlurEstimate:
    """The extents of a blur in crop pixels along and across its longest axis, which lies at `angle` (radians, from x
    right towards y down). An extent is that of `kernels.extent`: the straight line of equal standard deviation."""

    extent: float
    across: float
    angle: float

    def kernel(self, share: float = 1.0) -> Array:
        """Return the Gaussian of `share` times these extents."""
        along, across = (max(share * side / math.sqrt(12), _SHARPEST) for side in (self.extent, self.across))
        return kernels.gaussian(along, across, self.angle)


class BlurEstimator:
    """Estimates the blur of face crops. About 0.3 ms for each."""

    def __init__(self) -> None:
        with np.load(COEFFICIENTS, allow_pickle=False) as stored:
            self._layers = [(stored[f"weight{i}"], stored[f"bias{i}"]) for i in range(2)]
            self._mean, self._deviation = stored["mean"], stored["deviation"]

    def of(self, crop: FaceCrop) -> BlurEstimate:
        return self.estimate(crop.image, scale(crop))

    def estimate(self, image: Image, scale: float = 1.0) -> BlurEstimate:
        """Estimate the blur of a face crop (H x W x 3 uint8, at least 128 x 128: its center is measured).

        `scale` is in crop pixels per pixel of the frame. Above 1 the crop is soft because it was enlarged, and that
        softness is not counted.
        """
        (weight0, bias0), (weight1, bias1) = self._layers
        hidden = np.maximum((features(image, scale) - self._mean) / self._deviation @ weight0 + bias0, 0)
        return decode_covariance(hidden @ weight1 + bias1)


def scale(crop: FaceCrop) -> float:
    """Return the crop pixels per pixel of the frame."""
    return enlargement(crop.matrix)


def enlargement(matrix: Array) -> float:
    """Return the scale factor of a 2 x 3 matrix."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def features(image: Image, scale: float) -> Array:
    """Compute the mean log power in each ring and sector relative to the lowest rings; then the log of the
    enlargement."""
    log_power = np.log(power(image) + 1).ravel()
    pooled = np.bincount(_CELLS, log_power, _COUNTS.size + 1)[:-1] / _COUNTS
    pooled -= pooled[: _REFERENCE_RINGS * _SECTORS].mean()
    return np.append(pooled, math.log(max(scale, 1))).astype(np.float32)


def _cells() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return for each frequency the cell that pools it (the last index: none), and the cells' sizes."""
    down, across = frequencies()
    ring = np.digitize(np.hypot(down, across), _RING_EDGES) - 1
    sector = np.rint(np.arctan2(down, across) % np.pi / np.pi * _SECTORS).astype(np.intp) % _SECTORS
    rings = len(_RING_EDGES) - 1
    cells = np.where((ring >= 0) & (ring < rings), ring * _SECTORS + sector, rings * _SECTORS).ravel()
    return cells, np.bincount(cells)[:-1]


_CELLS, _COUNTS = _cells()


def encode_covariance(kernel: Array) -> Array:
    """Return the target of the network: the fourth root of the kernel's covariance, as (xx, yy, sqrt(2) xy).

    The root keeps errors of small blurs visible next to those of large ones; the eigenvectors stay.
    """
    squared, axes = np.linalg.eigh(kernels.covariance(kernel))
    root = axes * (12 * squared.clip(0)) ** 0.25 @ axes.T
    return np.array([root[0, 0], root[1, 1], math.sqrt(2) * root[0, 1]], np.float32)


def decode_covariance(values: Array) -> BlurEstimate:
    """Invert `encode_covariance`."""
    xx, yy, xy = (float(value) for value in values * (1, 1, math.sqrt(0.5)))
    (short, long), axes = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))
    angle = math.atan2(axes[1, 1], axes[0, 1])
    return BlurEstimate(max(0.0, float(long)) ** 2, max(0.0, float(short)) ** 2, angle % math.pi)
