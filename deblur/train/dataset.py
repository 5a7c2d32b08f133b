"""Synthetic training data: an endless stream of batches of blurred crops made from sharp photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft
from torch.utils.data import IterableDataset, get_worker_info

from deblur import conditioning, degradation, kernels
from deblur.train.augmentation import CANVAS, SIDE, Photo, augment, jitter
from deblur.train.kernel_head import SUPPORT
from deblur.train.recipe import NetRecipe
from stream.values import Array, Image

_SHAKES = 2048
"""Camera shakes that each worker keeps; each is rotated, mirrored and scaled at random whenever it is used."""
_LIGHT = (np.arange(256) ** 2 / 255).astype(np.float32)
"""Linear light of a gray level, for a gamma of 2, which is close to that of cameras and easy to invert."""
_KINDS = ("trajectory", "line", "disk", "gaussian", "box", "none")
_ODDS = (0.45, 0.27, 0.07, 0.07, 0.04, 0.1)
_KNOWN_MOTION = 0.6
"""Share of the straight blurs whose motion is an input of the network."""
_LENGTH_ERROR = 0.2
_MISSING = 0.2
"""Share of the neighbor crops that are missing."""
_SWITCHED = 0.04
"""Share of the neighbor crops that show another person."""
_SHORTEST_MOTION = 3.0
"""Crop pixels below which a motion is not an input: the gate calls such crops sharp."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Inputs and targets of the network: one sample, or N of them stacked.

    `others` are H x W x 3k: k neighbor crops stacked by channel, the crop itself in place of missing ones. `kernels`
    are 49 x 49. `upright` leads from the crop to the aligned one; `identity` is the embedding of the sharp face.
    """

    crops: Image
    hints: Image
    motion: Array
    others: Image
    sharp: Image
    kernels: Array
    upright: Array
    identity: Array


@dataclass(frozen=True, slots=True, eq=False)
class Blur:
    """A kernel, its kind, and the straight motion if it is an input of the network."""

    kind: str
    extent: float
    kernel: Array
    motion: tuple[float, float] | None
    along: complex = 0j
    """The true straight motion."""


class Synthesis(IterableDataset[Batch]):
    """Endless data set of batches: `size` samples of side `side` whose blur spans up to `reach` pixels.

    Every worker draws its own; the seed and the number of workers determine all of them.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        size: int,
        side: int,
        reach: float,
        seed: tuple[int, ...],
        net: NetRecipe | None = None,
    ) -> None:
        """`net` determines the inputs: whether the motion is one, and the number of neighbor crops."""
        self._photos, self._size, self._side, self._reach, self._seed = photos, size, side, reach, seed
        self._net = net or NetRecipe()

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        cv2.setNumThreads(1)
        rng = np.random.default_rng((*self._seed, worker.id if worker else 0))
        blurs = Blurs(self._reach)
        while True:
            yield stack_samples([self._sample(blurs, rng) for _ in range(self._size)])

    def _sample(self, blurs: Blurs, rng: np.random.Generator) -> Batch:
        photo = self._photos[int(rng.integers(len(self._photos)))]
        view, blur = augment(photo, rng), blurs.draw(rng)
        crop = _degrade(center_crop(_blur(view.canvas, blur.kernel, rng)), rng)
        sharp = center_crop(view.canvas)
        known_motion = blur.motion if self._net.informed else None
        neighbors = self._neighbors(crop, view.canvas, blur, blurs, rng)
        left, top = rng.integers(SIDE - self._side + 1, size=2) // 4 * 4
        window = np.s_[top : top + self._side, left : left + self._side]
        upright = view.upright.copy()
        upright[:, 2] += view.upright[:, :2] @ (left, top)
        hint, motion = (
            conditioning.deconvolve_motion(crop, known_motion)[window],
            conditioning.encode_motion(known_motion),
        )
        kernel, back = kernels.resize_support(blur.kernel, SUPPORT), upright.astype(np.float32)
        return Batch(crop[window], hint, motion, neighbors[window], sharp[window], kernel, back, photo.identity)

    def _neighbors(self, crop: Image, canvas: Image, blur: Blur, blurs: Blurs, rng: np.random.Generator) -> Image:
        """Simulate neighbor crops: the same face, slightly misplaced and blurred anew; sometimes none (the crop
        itself), or another person, since tracks switch."""
        neighbors = [crop[..., :0]]
        for _ in range(self._net.others):
            chance = rng.uniform()
            if chance < _MISSING:
                neighbors.append(crop)
                continue
            photo = self._photos[int(rng.integers(len(self._photos)))]
            face = augment(photo, rng).canvas if chance < _MISSING + _SWITCHED else jitter(canvas, rng)
            neighbors.append(_degrade(center_crop(_blur(face, blurs.draw_similar(blur, rng), rng)), rng))
        return np.concatenate(neighbors, 2)


class Blurs:
    """Draws random blurs of all kinds, up to `reach` crop pixels long."""

    def __init__(self, reach: float) -> None:
        self._reach = reach
        self._shakes: list[NDArray[np.complex128]] = []

    def draw(self, rng: np.random.Generator) -> Blur:
        kind, extent = _KINDS[rng.choice(len(_KINDS), p=_ODDS)], rng.uniform(3, self._reach)
        if kind == "line":
            return self._line(extent, rng)
        return Blur(kind, extent, self._kernel(kind, extent, rng), None)

    def draw_similar(self, blur: Blur, rng: np.random.Generator) -> Array:
        """Draw the kernel of a neighbor crop: camera shake is independent, a motion continues, and defocus stays."""
        match blur.kind:
            case "trajectory":
                return self._kernel(blur.kind, max(2, blur.extent * rng.uniform(0.4, 1.3)), rng)
            case "line":
                along = blur.along * rng.uniform(0.8, 1.2) * np.exp(1j * rng.normal(0, 0.1))
                return kernels.line(along.real, along.imag)
            case _:
                return blur.kernel

    def _kernel(self, kind: str, extent: float, rng: np.random.Generator) -> Array:
        match kind:
            case "trajectory":
                shake = self._shake(rng) * np.exp(2j * np.pi * rng.uniform())
                return kernels.rasterize_path(shake.conj() if rng.uniform() < 0.5 else shake, extent)
            case "disk":
                return kernels.disk(rng.uniform(0.8, min(8, self._reach / 2)))
            case "gaussian":
                along, across = rng.uniform(0.5, 4.5, 2)
                return kernels.gaussian(along, across, rng.uniform(0, np.pi))
            case "box":
                return kernels.box(int(rng.choice((3, 5, 7, 9))))
            case _:
                return kernels.box(1)

    def _shake(self, rng: np.random.Generator) -> NDArray[np.complex128]:
        """Draw from a pool that fills up to `_SHAKES`: a new shake takes as long as the rest of a sample."""
        number = int(rng.integers(_SHAKES))
        if number >= len(self._shakes):
            self._shakes.append(kernels.shake(rng))
            number = -1
        return self._shakes[number]

    def _line(self, length: float, rng: np.random.Generator) -> Blur:
        along = length * np.exp(2j * np.pi * rng.uniform())
        kernel = kernels.line(along.real, along.imag)
        if rng.uniform() > _KNOWN_MOTION:
            return Blur("line", length, kernel, None, along)
        measured = along * rng.uniform(1 - _LENGTH_ERROR, 1 + _LENGTH_ERROR) * np.exp(1j * rng.normal(0, 0.03))
        motion = (float(measured.real), float(measured.imag)) if abs(measured) >= _SHORTEST_MOTION else None
        return Blur("line", length, kernel, motion, along)


def _blur(canvas: Image, kernel: Array, rng: np.random.Generator) -> Array:
    """Convolve the canvas with the kernel; one time in four in linear light, before the camera's gamma."""
    if kernel.shape[0] == 1:
        return canvas.astype(np.float32)
    linear = rng.uniform() < 0.25
    light = np.asarray(_LIGHT[canvas] if linear else canvas, np.float32)
    spectrum = fft.rfft2(light, axes=(0, 1)) * kernels.transfer(kernel, light.shape[:2])[..., None]
    blurred = fft.irfft2(spectrum, s=light.shape[:2], axes=(0, 1)).clip(0, 255)
    return np.asarray(np.sqrt(255 * blurred) if linear else blurred, np.float32)


def center_crop(canvas: NDArray[Any]) -> NDArray[Any]:
    """Cut the crop out of the center of a canvas."""
    margin = (CANVAS - SIDE) // 2
    return np.ascontiguousarray(canvas[margin : margin + SIDE, margin : margin + SIDE])


def _degrade(light: Array, rng: np.random.Generator) -> Image:
    """Degrade by sensor noise and, in part of the samples, by low resolution or a codec."""
    noise = 0.01 if rng.uniform() < 0.5 else float(rng.uniform(0, 0.03))
    image = kernels.add_sensor_noise(light, noise, rng)
    if rng.uniform() < 0.12:
        image = degradation.downsample(image, rng.uniform(1.2, 4))
    chance = rng.uniform()
    if chance < 0.05:
        return degradation.h264(image, int(rng.integers(18, 36)))
    if chance < 0.2:
        return degradation.jpeg(image, int(rng.integers(30, 96)))
    return image


def stack_samples(samples: Sequence[Batch]) -> Batch:
    """Stack samples into one batch."""
    return Batch(*(np.stack([getattr(sample, field.name) for sample in samples]) for field in fields(Batch)))
