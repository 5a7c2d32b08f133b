"""Richardson-Lucy deconvolution with total variation, for a known point spread function.

Richardson 1972 and Lucy 1974, with
- the total variation of Dey et al., "Richardson-Lucy algorithm with total variation regularization for 3D confocal
  microscope deconvolution", Microscopy Research and Technique 2006;
- the border of Bertero and Boccacci, "A simple method for the reduction of boundary effects in the Richardson-Lucy
  approach to image deconvolution", A&A 2005: the sharp picture is estimated a kernel's reach beyond the blurred
  one, and only what was seen is evidence, so that nothing is assumed about the outside;
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

Picture = TypeVar("Picture", Image, Array)

_DIRECT_AREA = 130
"""Kernels of fewer taps are summed directly, larger ones go through the Fourier transform (OpenCV's own limit)."""
_FLOOR = np.float32(1e-3)
"""The darkest value, a quarter of a grey level: keeps quotients finite."""
_EDGE = np.float32(1e-4)
"""Squared contrast below which total variation fades into plain smoothing, so that flat regions stay stable."""
_GLIMPSE = np.float32(0.05)
"""Beyond the border: a pixel seen with less weight than this counts as seen with this."""


def deconvolve(
    picture: Picture, kernel: Array, iterations: int = 10, smoothness: float = 0.004, momentum: bool = True
) -> Picture:
    """The picture that, blurred with `kernel`, most likely gives `picture`.

    `picture` is H x W x C, uint8, or float32 in 0..1; the result has its shape, type and range. `kernel` is
    float32, of odd sides, not negative, with sum 1. `smoothness` weighs the total variation. With `smoothness` 0
    and no `momentum` this is the plain algorithm. Raises ValueError for a kernel that is not such.
    """
    _check(kernel)
    seen = _planes(picture)
    sharp = _ascend(_blurring(kernel, seen.shape), seen, iterations, smoothness, momentum)
    restored = np.ascontiguousarray(sharp.transpose(1, 2, 0)).clip(0, 1)
    return np.rint(restored * 255).astype(np.uint8) if picture.dtype == np.uint8 else restored


def _check(kernel: Array) -> None:
    if kernel.ndim != 2 or kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0:
        raise ValueError(f"a kernel is a matrix of odd sides, not {kernel.shape}")
    if kernel.dtype != np.float32 or kernel.min() < 0 or abs(kernel.sum() - 1) > 1e-3:
        raise ValueError("a kernel is float32, not negative, and sums to 1")


def _planes(picture: Image | Array) -> Array:
    """C x H x W, float32 in 0..1, not quite black."""
    scale = np.float32(1 / 255 if picture.dtype == np.uint8 else 1)
    return np.maximum(np.multiply(picture.transpose(2, 0, 1), scale, order="C"), _FLOOR)


class _Blurring(Protocol):
    """Convolution with the kernel, and its transpose, over planes that reach beyond what is seen.

    What a method returns is the caller's to write on until that method is called again.
    """

    shape: tuple[int, int]
    reach: tuple[int, int]

    def forward(self, planes: Array) -> Array: ...
    def backward(self, planes: Array) -> Array: ...


class _Direct:
    def __init__(self, kernel: Array, seen: tuple[int, ...]) -> None:
        self.reach = kernel.shape[0] // 2, kernel.shape[1] // 2
        self.shape = seen[1] + 2 * self.reach[0], seen[2] + 2 * self.reach[1]
        self._kernel = kernel
        self._turned = np.ascontiguousarray(kernel[::-1, ::-1])
        self._blurred, self._unblurred = np.empty((2, seen[0], *self.shape), np.float32)

    def forward(self, planes: Array) -> Array:
        return _correlated(planes, self._turned, self._blurred)

    def backward(self, planes: Array) -> Array:
        return _correlated(planes, self._kernel, self._unblurred)


def _correlated(planes: Array, kernel: Array, result: Array) -> Array:
    for plane, out in zip(planes, result, strict=True):
        cv2.filter2D(plane, -1, kernel, dst=out, borderType=cv2.BORDER_CONSTANT)
    return result


class _Fourier:
    def __init__(self, kernel: Array, seen: tuple[int, ...]) -> None:
        height, width = kernel.shape
        self.reach = height // 2, width // 2
        self.shape = (
            scipy.fft.next_fast_len(seen[1] + height - 1, real=True),
            scipy.fft.next_fast_len(seen[2] + width - 1, real=True),
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


def _blurring(kernel: Array, seen: tuple[int, ...]) -> _Blurring:
    return _Direct(kernel, seen) if kernel.size < _DIRECT_AREA else _Fourier(kernel, seen)


def _ascend(blurring: _Blurring, seen: Array, iterations: int, smoothness: float, momentum: bool) -> Array:
    """Climb the likelihood, starting from the blurred planes; in place, for allocating costs more than the sums."""
    evidence, weight = _embedded(seen, blurring)
    variation = _TotalVariation(evidence.shape, smoothness)
    estimate = np.stack([_continued(plane, blurring) for plane in seen])
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
        np.divide(evidence, ratio, out=ratio)
        correction = blurring.backward(ratio)
        correction /= variation.discounted(weight, estimate) if smoothness else weight
        estimate *= correction
    return estimate[_window(seen, blurring)]


def _window(seen: Array, blurring: _Blurring) -> tuple[slice, slice, slice]:
    top, left = blurring.reach
    return slice(None), slice(top, top + seen.shape[1]), slice(left, left + seen.shape[2])


def _embedded(seen: Array, blurring: _Blurring) -> tuple[Array, Array]:
    """What was seen, zero outside; and with what weight each sharp pixel contributed to it."""
    window = _window(seen, blurring)
    evidence = np.zeros((seen.shape[0], *blurring.shape), np.float32)
    evidence[window] = 1
    weight = np.maximum(blurring.backward(evidence), _GLIMPSE)
    evidence[window] = seen
    return evidence, weight


def _continued(plane: Array, blurring: _Blurring) -> Array:
    """The plane, its border pixels repeated out to the size of the sharp picture."""
    top, left = blurring.reach
    bottom, right = blurring.shape[0] - plane.shape[0] - top, blurring.shape[1] - plane.shape[1] - left
    return np.pad(plane, ((top, bottom), (left, right)), "edge")


class _TotalVariation:
    """The regularising term, with its buffers; each plane by itself."""

    def __init__(self, shape: tuple[int, ...], smoothness: float) -> None:
        self._smoothness = np.float32(smoothness)
        self._dx, self._dy = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._norm, self._result = np.empty(shape, np.float32), np.empty(shape, np.float32)

    def discounted(self, weight: Array, planes: Array) -> Array:
        """`weight` less smoothness times the divergence of the unit gradient: Dey's denominator."""
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
