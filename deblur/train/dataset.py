"""Blurred crops made of sharp ones, by the batch and without end."""

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
"""Camera shakes that each worker keeps; each is turned, mirrored and scaled anew whenever it is used."""
_LIGHT = (np.arange(256) ** 2 / 255).astype(np.float32)
"""The light behind a grey level, for a gamma of 2, which is near to what cameras do and easy to undo."""
_KINDS = ("trajectory", "line", "disk", "gaussian", "box", "none")
_ODDS = (0.45, 0.27, 0.07, 0.07, 0.04, 0.1)
_INFORMED = 0.6
"""Share of the straight blurs of which the network is told the motion."""
_LENGTH_ERROR = 0.2
_ALONE = 0.2
"""Share of the others that are missing."""
_ASTRAY = 0.04
"""Share of the others that show somebody else."""
_LEAST_HINT = 3.0
"""Shorter motion is not told: the gate leaves such crops alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What the network is given (`others` are H x W x 3k: k crops of the same face beside each other in colour, the
    crop itself where there is none), what it should give (the sharp crop, and the kernel, 49 x 49), each crop's way to
    its aligned place and whose face it is: one sample, or N of them stacked."""

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
    """A kernel, what made it, and the straight motion where the network is told of it."""

    kind: str
    extent: float
    kernel: Array
    motion: tuple[float, float] | None
    along: complex = 0j
    """The whole straight motion."""


class Synthesis(IterableDataset[Batch]):
    """Batches of `size` samples of side `side` whose blur spans up to `reach` pixels.

    Every worker draws its own; the seed and the number of workers settle all of them.
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
        """`net`, or the default, is for whom the samples are: what it is told, and at how many others it looks."""
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
        seen, blur = augment(photo, rng), blurs.draw(rng)
        crop = _recorded(center_crop(_blurred(seen.canvas, blur.kernel, rng)), rng)
        sharp = center_crop(seen.canvas)
        told = blur.motion if self._net.informed else None
        others = self._others(crop, seen.canvas, blur, blurs, rng)
        left, top = rng.integers(SIDE - self._side + 1, size=2) // 4 * 4
        window = np.s_[top : top + self._side, left : left + self._side]
        upright = seen.upright.copy()
        upright[:, 2] += seen.upright[:, :2] @ (left, top)
        hinted, motion = conditioning.deconvolve_motion(crop, told)[window], conditioning.encode_motion(told)
        kernel, back = kernels.resize_support(blur.kernel, SUPPORT), upright.astype(np.float32)
        return Batch(crop[window], hinted, motion, others[window], sharp[window], kernel, back, photo.identity)

    def _others(self, crop: Image, canvas: Image, blur: Blur, blurs: Blurs, rng: np.random.Generator) -> Image:
        """What other pictures of the track show: the same face, laid a little otherwise and blurred anew; now and then
        nothing, or somebody else, since tracks err."""
        shown = [crop[..., :0]]
        for _ in range(self._net.others):
            chance = rng.uniform()
            if chance < _ALONE:
                shown.append(crop)
                continue
            photo = self._photos[int(rng.integers(len(self._photos)))]
            face = augment(photo, rng).canvas if chance < _ALONE + _ASTRAY else jitter(canvas, rng)
            shown.append(_recorded(center_crop(_blurred(face, blurs.draw_similar(blur, rng), rng)), rng))
        return np.concatenate(shown, 2)


class Blurs:
    """Draws blurs of every kind that cameras and faces make, up to `reach` crop pixels long."""

    def __init__(self, reach: float) -> None:
        self._reach = reach
        self._shakes: list[NDArray[np.complex128]] = []

    def draw(self, rng: np.random.Generator) -> Blur:
        kind, extent = _KINDS[rng.choice(len(_KINDS), p=_ODDS)], rng.uniform(3, self._reach)
        if kind == "line":
            return self._line(extent, rng)
        return Blur(kind, extent, self._kernel(kind, extent, rng), None)

    def draw_similar(self, blur: Blur, rng: np.random.Generator) -> Array:
        """A kernel of another picture of the same track: a hand shakes anew, a face that moves goes on, and a lens
        stays as it is."""
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
        """A new one until there are enough: drawing one takes as long as making the rest of a sample."""
        number = int(rng.integers(_SHAKES))
        if number >= len(self._shakes):
            self._shakes.append(kernels.shake(rng))
            number = -1
        return self._shakes[number]

    def _line(self, length: float, rng: np.random.Generator) -> Blur:
        along = length * np.exp(2j * np.pi * rng.uniform())
        kernel = kernels.line(along.real, along.imag)
        if rng.uniform() > _INFORMED:
            return Blur("line", length, kernel, None, along)
        told = along * rng.uniform(1 - _LENGTH_ERROR, 1 + _LENGTH_ERROR) * np.exp(1j * rng.normal(0, 0.03))
        motion = (float(told.real), float(told.imag)) if abs(told) >= _LEAST_HINT else None
        return Blur("line", length, kernel, motion, along)


def _blurred(canvas: Image, kernel: Array, rng: np.random.Generator) -> Array:
    """The canvas convolved with the kernel; one time in four as light adds up, before the camera's gamma."""
    if kernel.shape[0] == 1:
        return canvas.astype(np.float32)
    linear = rng.uniform() < 0.25
    light = np.asarray(_LIGHT[canvas] if linear else canvas, np.float32)
    spectrum = fft.rfft2(light, axes=(0, 1)) * kernels.transfer(kernel, light.shape[:2])[..., None]
    blurred = fft.irfft2(spectrum, s=light.shape[:2], axes=(0, 1)).clip(0, 255)
    return np.asarray(np.sqrt(255 * blurred) if linear else blurred, np.float32)


def center_crop(canvas: NDArray[Any]) -> NDArray[Any]:
    """The crop that a canvas is for."""
    margin = (CANVAS - SIDE) // 2
    return np.ascontiguousarray(canvas[margin : margin + SIDE, margin : margin + SIDE])


def _recorded(light: Array, rng: np.random.Generator) -> Image:
    """What the camera, its enlargement and its codec leave."""
    noise = 0.01 if rng.uniform() < 0.5 else float(rng.uniform(0, 0.03))
    filmed = kernels.add_sensor_noise(light, noise, rng)
    if rng.uniform() < 0.12:
        filmed = degradation.downsample(filmed, rng.uniform(1.2, 4))
    chance = rng.uniform()
    if chance < 0.05:
        return degradation.h264(filmed, int(rng.integers(18, 36)))
    if chance < 0.2:
        return degradation.jpeg(filmed, int(rng.integers(30, 96)))
    return filmed


def stack_samples(samples: Sequence[Batch]) -> Batch:
    return Batch(*(np.stack([getattr(sample, field.name) for sample in samples]) for field in fields(Batch)))
