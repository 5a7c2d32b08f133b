"""What happens to a sharp photograph before it is to be restored: EVALUATION's conditions.

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
"""By how much, at most, the known length of a straight motion is off: uniformly distributed."""
TURN, SCALE, SHIFT = 2.0, 0.04, 2.0
"""How far apart the crops of two pictures of one face lie: standard deviations in degrees, of the logarithm of the
size, and in pixels each way. Found on val's photographs under shakes of 14 to 20 pixels of the crop."""
SIZES = (13, 19, 27, 37)
CRF = 30
FAR = 4

Motion = tuple[float, float]
"""A straight blur, from one end to the other, in pixels; its sign is arbitrary."""
Chain = Callable[[Image], Image]


@dataclass(frozen=True, slots=True, eq=False)
class Another:
    """Another picture of the same face, and by what its crop, found on its own, lies off: 3 x 3, in pixels of it."""

    image: Image
    astray: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A photograph as it was taken, the kernel that blurred it, and the motion as far as it is known; and `others` of
    the same face, as a track has them: a hand shakes anew, and what moves goes on."""

    image: Image
    kernel: Array
    motion: Motion | None
    others: tuple[Another, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One way of being blurred. `straight` is where the motion is known but for its length's error."""

    name: str
    draw: Callable[[np.random.Generator], tuple[Array, Motion | None]]
    chain: Chain | None = None
    straight: bool = False

    def shots(self, photographs: Sequence[Image], seed: int) -> list[Shot]:
        """Each photograph under this condition. The same seed gives the same, whatever else is evaluated."""
        name = zlib.crc32(self.name.encode())
        rng, aside = np.random.default_rng([seed, name]), np.random.default_rng([seed, name, 1])
        return [self._shot(photograph, rng, aside) for photograph in photographs]

    def _shot(self, photograph: Image, rng: np.random.Generator, aside: np.random.Generator) -> Shot:
        kernel, motion = self.draw(rng)
        others = (self._other(photograph, kernel, aside) for _ in range(NEIGHBORS))
        return Shot(self._taken(photograph, kernel, rng), kernel, motion, tuple(others))

    def _other(self, photograph: Image, kernel: Array, rng: np.random.Generator) -> Another:
        return Another(self._taken(photograph, kernel if self.straight else self.draw(rng)[0], rng), _astray(rng))

    def _taken(self, photograph: Image, kernel: Array, rng: np.random.Generator) -> Image:
        image = kernels.add_sensor_noise(kernels.blur(photograph, kernel), NOISE, rng)
        return self.chain(image) if self.chain else image


def conditions(data: Path) -> dict[str, Condition]:
    """All conditions by name, from none to worst of each kind; `data` holds the measured kernels.

    Raises SourceError if it does not.
    """
    found = [
        Condition("none", lambda _: (kernels.box(1), None)),
        Condition("box5", lambda _: (kernels.box(5), None)),
        Condition("disk3", lambda _: (kernels.disk(3), None)),
        *(Condition(f"line{length}", _line(length), straight=True) for length in (9, *SIZES)),
        *(Condition(f"traj{size}", _trajectory(size)) for size in SIZES),
        Condition("levin", _measured(data / "kernels/levin09.npz")),
        Condition("h264", _trajectory(19), lambda image: degradation.h264(image, CRF)),
        Condition("low", _trajectory(13), lambda image: degradation.downsample(image, FAR)),
    ]
    return {condition.name: condition for condition in found}


def chosen(every: Mapping[str, Condition], names: Sequence[str]) -> list[Condition]:
    """Those of these names; all, if none is named. Raises UsageError for a name that there is not."""
    unknown = [name for name in names if name not in every]
    if unknown:
        raise UsageError(f"no condition is called {unknown[0]!r}: there are {', '.join(every)}")
    return [condition for name, condition in every.items() if name in names or not names]


def _astray(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random similarity about a crop's centre."""
    turn, scale, shift = np.deg2rad(rng.normal(0, TURN)), np.exp(rng.normal(0, SCALE)), rng.normal(0, SHIFT, 2)
    cos, sin, centre = scale * np.cos(turn), scale * np.sin(turn), (SIDE - 1) / 2
    about = np.array([[cos, -sin, shift[0] + centre], [sin, cos, shift[1] + centre], [0, 0, 1]])
    return np.asarray(about @ np.array([[1, 0, -centre], [0, 1, -centre], [0, 0, 1]]))


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
    """One of the camera shakes that Levin et al. measured, "Understanding and evaluating blind deconvolution
    algorithms", CVPR 2009."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            measured = [kernels.center(stored[name]) for name in stored if name.startswith("levin")]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise SourceError(f"cannot read the measured kernels {file}: {error}") from error
    if not measured:
        raise SourceError(f"there are no measured kernels (levin...) in {file}")
    return lambda rng: (measured[rng.integers(len(measured))], None)
