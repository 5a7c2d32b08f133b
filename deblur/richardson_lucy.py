"""Richardson-Lucy deconvolution with total variation, for a known point spread function.

Richardson 1972 and Lucy 1974, with
- the total variation of Dey et al., "Richardson-Lucy algorithm with total variation regularization for 3D confocal
  microscope deconvolution", Microscopy Research and Technique 2006;
- the border of Bertero and Boccacci, "A simple method for the reduction of boundary effects in the Richardson-Lucy
  approach to image deconvolution", A&A 2005: the sharp image is estimated a kernel's reach beyond the
  blurred one, and only observed pixels count, so that nothing is assumed about the outside;
- the momentum of Wang and Miller, "Scaled heavy-ball acceleration of the Richardson-Lucy algorithm for 3D
  microscopy image restoration", IEEE TIP 2014: ten steps do the work of about thirty.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from deblur import kernels
from stream.values import Array, Image

ImageOrArray = TypeVar("ImageOrArray", Image, Array)

_DIRECT_AREA = 130
"""Kernels of fewer taps are summed directly, larger ones go through the Fourier transform (OpenCV's own limit)."""
_FLOOR = np.float32(1e-3)
"""The darkest value, a quarter of a gray level: keeps quotients finite."""
_EDGE = np.float32(1e-4)
"""Squared contrast below which total variation fades into plain smoothing, so that flat regions stay stable."""
_LEAST_WEIGHT = np.float32(0.05)
"""Lower bound of the weight with which a pixel beyond the border contributes to observed ones."""


def deconvolve(
    image: ImageOrArray, kernel: Array, iterations: int = 10, smoothness: float = 0.004, momentum: bool = True
) -> ImageOrArray:
    """Return the image that, blurred with `kernel`, most likely gives `image`.

    `image` is H x W x C, uint8, or float32 in 0..1; the result has its shape, type and range. `kernel` is
    float32, of odd sides, not negative, with sum 1. `smoothness` weighs the total variation. With `smoothness` 0
    and no `momentum` this is the plain algorithm. Raises ValueError for any other kernel.
    """
    _check(kernel)
    observed = _planes(image)
    sharp = _iterate(_blurring(kernel, observed.shape), observed, iterations, smoothness, momentum)
    restored = np.ascontiguousarray(sharp.transpose(1, 2, 0)).clip(0, 1)
    return np.rint(restored * 255).astype(np.uint8) if image.dtype == np.uint8 else restored


def _check(kernel: Array) -> None:
    if kernel.ndim != 2 or kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0:
        raise ValueError(f"a kernel is a matrix of odd sides, not {kernel.shape}")
    if kernel.dtype != np.float32 or kernel.min() < 0 or abs(kernel.sum() - 1) > 1e-3:
        raise ValueError("a kernel is float32, not negative, and sums to 1")


def _planes(image: Image | Array) -> Array:
    """C x H x W, float32 in 0..1, not quite black."""
    scale = np.float32(1 / 255 if image.dtype == np.uint8 else 1)
    return np.maximum(np.multiply(image.transpose(2, 0, 1), scale, order="C"), _FLOOR)


class _Blurring(Protocol):
    """Convolution with the kernel, and its transpose, over planes that extend beyond the observed ones.

    The caller may change what a method returns; the next call of that method overwrites it.
    """

    shape: tuple[int, int]
    reach: tuple[int, int]

    def forward(self, planes: Array) -> Array: ...
    def backward(self, planes: Array) -> Array: ...


class _Direct:
    def __init__(self, kernel: Array, observed: tuple[int, ...]) -> None:
        self.reach = kernel.shape[0] // 2, kernel.shape[1] // 2
        self.shape = observed[1] + 2 * self.reach[0], observed[2] + 2 * self.reach[1]
        self._kernel = kernel
        self._flipped = np.ascontiguousarray(kernel[::-1, ::-1])
        self._blurred, self._unblurred = np.empty((2, observed[0], *self.shape), np.float32)

    def forward(self, planes: Array) -> Array:
        return _correlate(planes, self._flipped, self._blurred)

    def backward(self, planes: Array) -> Array:
        return _correlate(planes, self._kernel, self._unblurred)


def _correlate(planes: Array, kernel: Array, result: Array) -> Array:
    for plane, out in zip(planes, result, strict=True):
        cv2.filter2D(plane, -1, kernel, dst=out, borderType=cv2.BORDER_CONSTANT)
    return result


class _Fourier:
    def __init__(self, kernel: Array, observed: tuple[int, ...]) -> None:
        height, width = kernel.shape
        self.reach = height // 2, width // 2
        self.shape = (
            scipy.fft.next_fast_len(observed[1] + height - 1, real=True),
            scipy.fft.next_fast_len(observed[2] + width - 1, real=True),
        )
        self._transfer = kernels.transfer(kernel, self.shape)
        self._conjugate = self._transfer.conj()

    def forward(self, planes: Array) -> Array:
        return self._multiply(planes, self._transfer)

    def backward(self, planes: Array) -> Array:
        return self._multiply(planes, self._conjugate)

    def _multiply(self, planes: Array, transfer: NDArray[np.complex64]) -> Array:
        spectrum = scipy.fft.rfft2(planes)
        spectrum *= transfer
        return scipy.fft.irfft2(spectrum, s=self.shape, overwrite_x=True)


def _blurring(kernel: Array, observed: tuple[int, ...]) -> _Blurring:
    return _Direct(kernel, observed) if kernel.size < _DIRECT_AREA else _Fourier(kernel, observed)


def _iterate(blurring: _Blurring, observed: Array, iterations: int, smoothness: float, momentum: bool) -> Array:
    """Maximize the likelihood, starting from the blurred planes; in place, since allocating is slower."""
    observation, weight = _pad_with_zeros(observed, blurring)
    variation = _TotalVariation(observation.shape, smoothness)
    estimate = np.stack([_pad_with_edges(plane, blurring) for plane in observed])
    previous, step = estimate.copy(), np.empty_like(estimate)
    for iteration in range(iterations):
        if momentum:
            np.subtract(estimate, previous, out=step)
            np.copyto(previous, estimate)
            step *= np.float32((iteration - 1) / (iteration + 2))
            estimate += step
        np.maximum(estimate, _FLOOR, out=estimate)
        ratio = blurring.forward(estimate)
        np.maximum(ratio, _FLOOR, out=ratio)
        np.divide(observation, ratio, out=ratio)
        correction = blurring.backward(ratio)
        correction /= variation.denominator(weight, estimate) if smoothness else weight
        estimate *= correction
    return estimate[_window(observed, blurring)]


def _window(observed: Array, blurring: _Blurring) -> tuple[slice, slice, slice]:
    top, left = blurring.reach
    return slice(None), slice(top, top + observed.shape[1]), slice(left, left + observed.shape[2])


def _pad_with_zeros(observed: Array, blurring: _Blurring) -> tuple[Array, Array]:
    """Pad the observed planes with zeros; and give the weight with which each sharp pixel contributed to them."""
    window = _window(observed, blurring)
    observation = np.zeros((observed.shape[0], *blurring.shape), np.float32)
    observation[window] = 1
    weight = np.maximum(blurring.backward(observation), _LEAST_WEIGHT)
    observation[window] = observed
    return observation, weight


def _pad_with_edges(plane: Array, blurring: _Blurring) -> Array:
    """Pad the plane to the size of the sharp image by repeating its border pixels."""
    top, left = blurring.reach
    bottom, right = blurring.shape[0] - plane.shape[0] - top, blurring.shape[1] - plane.shape[1] - left
    return np.pad(plane, ((top, bottom), (left, right)), "edge")


class _TotalVariation:
    """The total variation term and its buffers; planes are independent."""

    def __init__(self, shape: tuple[int, ...], smoothness: float) -> None:
        self._smoothness = np.float32(smoothness)
        self._dx, self._dy = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._norm, self._result = np.empty(shape, np.float32), np.empty(shape, np.float32)

    def denominator(self, weight: Array, planes: Array) -> Array:
        """Return `weight` less smoothness times the divergence of the unit gradient: Dey's denominator."""
        dx, dy, norm, result = self._dx, self._dy, self._norm, self._result
        np.subtract(planes[:, :, 1:], planes[:, :, :-1], out=dx[:, :, :-1])
        np.subtract(planes[:, 1:], planes[:, :-1], out=dy[:, :-1])
        np.multiply(dx, dx, out=norm)
        np.multiply(dy, dy, out=result)
        norm += result
        norm += _EDGE
        np.sqrt(norm, out=norm)
        np.divide(self._smoothness, norm, out=norm)
        dx *= norm
        dy *= norm
        np.subtract(weight, dx, out=result)
        result -= dy
        result[:, :, 1:] += dx[:, :, :-1]
        result[:, 1:] += dy[:, :-1]
        return result
