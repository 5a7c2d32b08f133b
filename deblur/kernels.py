"""Point spread functions (PSFs): the image of one point of light in a defocused or moving camera.

A kernel is float32, square, of odd side, not negative, with sum 1 and its centroid on the middle pixel, so that it
neither brightens nor shifts the image. Lengths are in pixels; angles come as vectors (x right, y down).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from stream.values import Array, Image

_DISK_OVERSAMPLING = 8
_TRAJECTORY_STEPS = 2000
_TRAJECTORY_LENGTH = 64.0


def box(side: int) -> Array:
    """Return the mean over `side` x `side` pixels. Raises ValueError unless `side` is odd."""
    if side < 1 or side % 2 == 0:
        raise ValueError(f"a box kernel needs an odd side of at least 1, not {side}")
    return np.full((side, side), 1 / side**2, np.float32)


def line(dx: float, dy: float) -> Array:
    """Return the kernel of uniform motion along the vector (`dx`, `dy`) while the shutter is open, anti-aliased; (0, 0)
    gives no blur."""
    samples = np.linspace(-0.5, 0.5, 2 * math.ceil(8 * math.hypot(dx, dy)) + 1)
    return _rasterize(samples * dx, samples * dy)


def disk(radius: float) -> Array:
    """Return the kernel of defocus: a uniform disk, its rim anti-aliased. Raises ValueError for a radius of 0 or
    less."""
    if radius <= 0:
        raise ValueError(f"a disk kernel needs a positive radius, not {radius}")
    reach = math.ceil(radius + 0.5)
    fine = (np.arange((2 * reach + 1) * _DISK_OVERSAMPLING) + 0.5) / _DISK_OVERSAMPLING - reach - 0.5
    inside = np.hypot(fine[:, None], fine) <= radius
    side = 2 * reach + 1
    return _normalize(inside.reshape(side, _DISK_OVERSAMPLING, side, _DISK_OVERSAMPLING).mean((1, 3)))


def gaussian(sigma: float, across: float | None = None, angle: float = 0.0) -> Array:
    """Return a Gaussian of standard deviation `sigma`, cut at four of them.

    With `across` it is an ellipse: `sigma` along `angle` (radians from x right towards y down), `across` perpendicular
    to it. Raises ValueError for a sigma of 0 or less.
    """
    across = sigma if across is None else across
    if min(sigma, across) <= 0:
        raise ValueError(f"a Gaussian kernel needs a positive sigma, not {min(sigma, across)}")
    reach = math.ceil(4 * max(sigma, across))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    turned = (x * math.cos(angle) + y * math.sin(angle)) / sigma, (y * math.cos(angle) - x * math.sin(angle)) / across
    return _normalize(np.exp(-0.5 * (turned[0] ** 2 + turned[1] ** 2)))


def trajectory(extent: float, rng: np.random.Generator) -> Array:
    """Draw a random camera shake whose larger side spans `extent` pixels.

    Boracchi and Foi, "Modeling the performance of image restoration from motion blur", IEEE TIP 2012: a point with
    inertia, under random impulses and a pull back to the start, over 2000 steps of equal length. The path is scaled to
    `extent`; its irregularity (from nearly straight to a knot) is random, too.
    """
    return rasterize_path(shake(rng), extent)


def rasterize_path(path: NDArray[np.complex128], extent: float) -> Array:
    """Return the kernel of a point on `path` (complex positions at equal times), scaled to span `extent` pixels. Raises
    ValueError for an extent below 1."""
    if extent < 1:
        raise ValueError(f"a trajectory spans at least one pixel, not {extent}")
    x, y = path.real, path.imag
    scale = (extent - 1) / max(np.ptp(x), np.ptp(y))
    return _rasterize((x - x.mean()) * scale, (y - y.mean()) * scale)


def shake(rng: np.random.Generator) -> NDArray[np.complex128]:
    """Draw the path of a camera shake as complex positions; the ranges of the parameters are the paper's, for this
    length."""
    pull, impulse_rate, tremor = rng.uniform(0, (0.7, 0.2, 10.0))
    anxiety = 0.1 * rng.uniform()
    step = _TRAJECTORY_LENGTH / _TRAJECTORY_STEPS
    tremors = (tremor * step * anxiety * rng.standard_normal((_TRAJECTORY_STEPS, 2)) @ (1, 1j)).tolist()
    impulses = (rng.uniform(size=_TRAJECTORY_STEPS) < impulse_rate * anxiety).tolist()
    turns = (2 * np.exp(1j * (np.pi + rng.uniform(-0.5, 0.5, _TRAJECTORY_STEPS)))).tolist()
    position, velocity = 0j, step * np.exp(2j * np.pi * rng.uniform()).item()
    path = [position]
    for noise_step, has_impulse, turn in zip(tremors, impulses, turns, strict=True):
        velocity += noise_step - anxiety * pull * step * position + (velocity * turn if has_impulse else 0)
        velocity *= step / abs(velocity)
        position += velocity
        path.append(position)
    return np.array(path)


def center(kernel: NDArray[np.floating]) -> Array:
    """Shift and pad a measured kernel (any rectangle of weights) so that its centroid is on the middle pixel."""
    y, x = np.indices(kernel.shape)
    weights = kernel / kernel.sum()
    return _rasterize(x - (x * weights).sum(), y - (y * weights).sum(), weights)


def warp(kernel: Array, turn: NDArray[np.floating]) -> Array:
    """Transform the kernel as the 2 x 2 matrix `turn` (scale and rotation) transforms the image.

    Each weight is moved, and distributed bilinearly: for shrinking, and enlarging by less than two.
    """
    reach = kernel.shape[0] // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    (xx, xy), (yx, yy) = turn
    return _rasterize(xx * x + xy * y, yx * x + yy * y, kernel)


def _rasterize(x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.floating] | float = 1.0) -> Array:
    """Return the kernel of a point at positions (`x`, `y`), whose weighted mean is (0, 0), for times proportional to
    `weights`.

    Each position is distributed bilinearly to its four pixels, which keeps the centroid exact.
    """
    reach = math.ceil(max(np.abs(x).max(), np.abs(y).max()) - 1e-6)
    side = 2 * reach + 3
    kernel = np.zeros((side, side))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for right, share_x in ((0, 1 - (x - left)), (1, x - left)):
        for below, share_y in ((0, 1 - (y - top)), (1, y - top)):
            np.add.at(kernel, (top + below + reach + 1, left + right + reach + 1), weights * share_x * share_y)
    return _normalize(kernel[1:-1, 1:-1])


def _normalize(kernel: NDArray[np.float64]) -> Array:
    return np.asarray(kernel / kernel.sum(), np.float32)


def resize_support(kernel: Array, side: int) -> Array:
    """Pad or crop the kernel to `side` x `side` pixels (an odd number), with sum 1."""
    out = max(0, (side - kernel.shape[0]) // 2)
    over = max(0, (kernel.shape[0] - side) // 2)
    inner = kernel[over : kernel.shape[0] - over, over : kernel.shape[1] - over]
    return _normalize(np.pad(inner.astype(np.float64), out))


def covariance(kernel: Array) -> NDArray[np.float64]:
    """Return the second moments of a centered kernel: [[xx, xy], [xy, yy]] in squared pixels."""
    reach = kernel.shape[0] // 2
    offset = np.arange(-reach, reach + 1, dtype=np.float64)
    xx, yy = (kernel.sum(axis) @ offset**2 for axis in (0, 1))
    xy = offset @ kernel @ offset
    return np.array([[xx, xy], [xy, yy]])


def extent(kernel: Array) -> float:
    """Return the blur extent in pixels along the longest axis: the length of the straight line with the same standard
    deviation (root-mean-square width times the square root of 12). Defined for every shape, and little affected by the
    faint ends of a trajectory, unlike the side of the support."""
    return math.sqrt(12 * max(0.0, float(np.linalg.eigvalsh(covariance(kernel))[1])))


def transfer(kernel: Array, shape: tuple[int, int]) -> NDArray[np.complex64]:
    """Return the transfer function of `kernel` for a periodic image of `shape` (H, W): H x (W / 2 + 1), in the order of
    scipy's rfft2. Raises ValueError if it does not fit."""
    height, width = kernel.shape
    if height > shape[0] or width > shape[1]:
        raise ValueError(f"a kernel of {width} x {height} does not fit a picture of {shape[1]} x {shape[0]}")
    padded = np.zeros(shape, np.float32)
    padded[:height, :width] = kernel
    return np.asarray(fft.rfft2(np.roll(padded, (-(height // 2), -(width // 2)), (0, 1))), np.complex64)


def blur(picture: Image | Array, kernel: Array) -> Array:
    """Convolve `picture` (H x W x C) with `kernel`, in its own units, float32.

    The border is reflected. Blur a larger image and crop then, so that what enters the crop from outside is real.
    """
    turned = np.ascontiguousarray(kernel[::-1, ::-1])
    return np.asarray(cv2.filter2D(picture, cv2.CV_32F, turned, borderType=cv2.BORDER_REFLECT_101), np.float32)


def add_sensor_noise(light: Array, noise: float, rng: np.random.Generator) -> Image:
    """Add Gaussian noise of standard deviation `noise` x 255 to `light` (H x W x 3, 0-255) and round to 8 bits."""
    noisy = light + 255 * noise * rng.standard_normal(light.shape, np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
