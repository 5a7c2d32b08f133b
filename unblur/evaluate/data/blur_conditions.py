"""Blur conditions: how experiments degrade a sharp photograph (docs/results/methods.md).

Blur of the whole photograph with a kernel of sum 1 and its centroid in the middle, noise (sigma 0.01), 8 bits; then, in
some, what the camera's chain does to it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deblur import degradation, kernels
from detectors.alignment import SIDE
from stream.errors import SourceError, UsageError
from stream.tracking.analyzer import NEIGHBORS
from stream.values import Array, Image

NOISE = 0.01
"""Sigma, of full scale."""
LENGTH_ERROR = 0.2
"""Largest relative error of the known length of a straight motion; the error is uniformly distributed."""
ROTATION_STD, SCALE_STD, SHIFT_STD = 2.0, 0.04, 2.0
"""Misalignment of two crops of one face: standard deviations of the rotation (degrees), of the logarithm of the size,
and of the offset (pixels, each axis). Measured on val's photographs under camera shakes of 14 to 20 crop pixels."""
SIZES = (13, 19, 27, 37)
CRF = 30
FAR = 4

Motion = tuple[float, float]
"""A straight blur, from one end to the other, in pixels; its sign is arbitrary."""
Degradation = Callable[[Image], Image]


@dataclass(frozen=True, slots=True, eq=False)
class NeighborShot:
    """Another blurred image of the same face. `misalignment` (3 x 3, crop pixels) maps the first image's crop to this
    image's own crop, which is aligned independently."""

    image: Image
    misalignment: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A blurred photograph with its kernel and its motion, if known. `neighbors` simulate the earlier frames of a
    track: a straight motion stays the same, a camera shake is drawn again for each."""

    image: Image
    kernel: Array
    motion: Motion | None
    neighbors: tuple[NeighborShot, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A kind of blur. If `straight`, the motion is known, up to the error of its length."""

    name: str
    draw: Callable[[np.random.Generator], tuple[Array, Motion | None]]
    chain: Degradation | None = None
    straight: bool = False

    def make_shots(self, photographs: Sequence[Image], seed: int) -> list[Shot]:
        """Degrade each photograph. The result depends on the seed and this condition only, not on other conditions."""
        name = zlib.crc32(self.name.encode())
        rng, neighbor_rng = np.random.default_rng([seed, name]), np.random.default_rng([seed, name, 1])
        return [self._make_shot(photograph, rng, neighbor_rng) for photograph in photographs]

    def _make_shot(self, photograph: Image, rng: np.random.Generator, neighbor_rng: np.random.Generator) -> Shot:
        kernel, motion = self.draw(rng)
        neighbors = (self._make_neighbor(photograph, kernel, neighbor_rng) for _ in range(NEIGHBORS))
        return Shot(self._degrade(photograph, kernel, rng), kernel, motion, tuple(neighbors))

    def _make_neighbor(self, photograph: Image, kernel: Array, rng: np.random.Generator) -> NeighborShot:
        return NeighborShot(
            self._degrade(photograph, kernel if self.straight else self.draw(rng)[0], rng), _draw_misalignment(rng)
        )

    def _degrade(self, photograph: Image, kernel: Array, rng: np.random.Generator) -> Image:
        image = kernels.add_sensor_noise(kernels.blur(photograph, kernel), NOISE, rng)
        return self.chain(image) if self.chain else image


def load_conditions(data: Path) -> dict[str, Condition]:
    """Make all conditions, keyed by name, each kind from weak to strong.

    `data` is the shared data folder. Raises SourceError if its measured kernels cannot be read.
    """
    every = [
        Condition("none", lambda _: (kernels.box(1), None)),
        Condition("box5", lambda _: (kernels.box(5), None)),
        Condition("disk3", lambda _: (kernels.disk(3), None)),
        *(Condition(f"line{length}", _line(length), straight=True) for length in (9, *SIZES)),
        *(Condition(f"traj{size}", _trajectory(size)) for size in SIZES),
        Condition("levin", _measured(data / "kernels/levin09.npz")),
        Condition("h264", _trajectory(19), lambda image: degradation.h264(image, CRF)),
        Condition("low", _trajectory(13), lambda image: degradation.downsample(image, FAR)),
    ]
    return {condition.name: condition for condition in every}


def select_conditions(every: Mapping[str, Condition], names: Sequence[str]) -> list[Condition]:
    """Select conditions by name, all if `names` is empty. Raises UsageError for an unknown name."""
    unknown = [name for name in names if name not in every]
    if unknown:
        raise UsageError(f"no condition is called {unknown[0]!r}: there are {', '.join(every)}")
    return [condition for name, condition in every.items() if name in names or not names]


def _draw_misalignment(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a random similarity transform about the center of a crop."""
    rotation, scale, shift = (
        np.deg2rad(rng.normal(0, ROTATION_STD)),
        np.exp(rng.normal(0, SCALE_STD)),
        rng.normal(0, SHIFT_STD, 2),
    )
    cos, sin, center = scale * np.cos(rotation), scale * np.sin(rotation), (SIDE - 1) / 2
    about = np.array([[cos, -sin, shift[0] + center], [sin, cos, shift[1] + center], [0, 0, 1]])
    return np.asarray(about @ np.array([[1, 0, -center], [0, 1, -center], [0, 0, 1]]))


def _line(length: float) -> Callable[[np.random.Generator], tuple[Array, Motion]]:
    def draw(rng: np.random.Generator) -> tuple[Array, Motion]:
        angle = rng.uniform(0, np.pi)
        x, y = length * np.cos(angle), length * np.sin(angle)
        known = 1 + rng.uniform(-LENGTH_ERROR, LENGTH_ERROR)
        return kernels.line(x, y), (float(known * x), float(known * y))

    return draw


def _trajectory(size: float) -> Callable[[np.random.Generator], tuple[Array, None]]:
    return lambda rng: (kernels.trajectory(size, rng), None)


def _measured(file: Path) -> Callable[[np.random.Generator], tuple[Array, None]]:
    """Draws one of the camera shakes measured by Levin et al., "Understanding and evaluating blind deconvolution
    algorithms", CVPR 2009."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            measured = [kernels.center(stored[name]) for name in stored if name.startswith("levin")]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise SourceError(f"cannot read the measured kernels {file}: {error}") from error
    if not measured:
        raise SourceError(f"there are no measured kernels (levin...) in {file}")
    return lambda rng: (measured[rng.integers(len(measured))], None)
