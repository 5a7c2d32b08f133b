"""What passes before the simulated camera: people who walk past on straight lines while the camera stands still; what
comes between, and the light."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from stream.simulation.cutout import Cutout
from stream.values import Array, Box, Image


@dataclass(frozen=True, slots=True, eq=False)
class WalkerPath:
    """One person's walk past the camera.

    The centre of the face is at `through` (x, y in pixels of the frame) in the middle of frame `at`'s exposure, and
    moves by `velocity` pixels per frame. `picture` names the photograph; `known` says whether the person is enrolled.
    """

    person: str
    known: bool
    picture: str
    cutout: Cutout
    through: tuple[float, float]
    velocity: tuple[float, float]
    at: float = 0.0

    @property
    def light(self) -> Array:
        return self.cutout.light

    @property
    def speed(self) -> float:
        """Pixels per frame."""
        return math.hypot(*self.velocity)

    def origin(self, moment: float) -> tuple[float, float]:
        """Where the cutout's top left corner is at a moment, in frames."""
        x, y = self.cutout.face.center
        elapsed = moment - self.at
        return self.through[0] - x + self.velocity[0] * elapsed, self.through[1] - y + self.velocity[1] * elapsed

    def face(self, moment: float) -> Box:
        return self.cutout.face.shifted(*self.origin(moment))

    def span(self, width: int, height: int) -> tuple[float, float]:
        """The moments, in frames, at which the cutout enters and leaves a frame of that size."""
        spans = [
            _crossing(start, size, speed, limit)
            for start, size, speed, limit in zip(
                self.origin(0.0), self.cutout.size, self.velocity, (width, height), strict=True
            )
        ]
        return max(enter for enter, _ in spans), min(leave for _, leave in spans)

    def entering(self, frame: float, width: int, height: int) -> WalkerPath:
        """The same walk, timed so that the cutout enters the frame at that moment."""
        return replace(self, at=self.at + frame - self.span(width, height)[0])


def _crossing(start: float, size: float, speed: float, limit: float) -> tuple[float, float]:
    """When an interval that begins at `start` at moment 0 overlaps 0..limit."""
    if speed == 0:
        return (-math.inf, math.inf) if -size < start < limit else (math.inf, -math.inf)
    first, last = sorted(((-size - start) / speed, (limit - start) / speed))
    return first, last


@dataclass(frozen=True, slots=True, eq=False)
class Occluder:
    """Something that passes between the camera and the people. `light` is H x W x 4, as a cutout's; its middle is at
    `through` (x, y in pixels of the frame) in the middle of frame `at`'s exposure, and moves by `velocity` pixels per
    frame."""

    light: Array
    through: tuple[float, float]
    velocity: tuple[float, float]
    at: float = 0.0

    def origin(self, moment: float) -> tuple[float, float]:
        """Where its top left corner is at a moment, in frames."""
        height, width = self.light.shape[:2]
        elapsed = moment - self.at
        x, y = (place + speed * elapsed for place, speed in zip(self.through, self.velocity, strict=True))
        return x - width / 2, y - height / 2


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A clip before it is taken: `background` is the empty picture, `passages` stand in order of depth, the farthest
    first, and `occluders` before them all. `shutter` is the share of a frame's time in which the shutter is open
    (0..1]; `noise` the standard deviation of the sensor's noise in grey levels of 255. `lighting` holds frames, in
    order, and how bright it is then: what falls into the lens is so many times the light of the background and the
    photographs, and changes evenly from one to the next."""

    background: Image
    passages: tuple[WalkerPath, ...]
    frames: int
    fps: int = 30
    shutter: float = 0.6
    noise: float = 2.0
    seed: int = 0
    occluders: tuple[Occluder, ...] = ()
    lighting: tuple[tuple[float, float], ...] = ((0.0, 1.0),)

    def __post_init__(self) -> None:
        if not (0 < self.shutter <= 1 and self.frames > 0 and self.fps > 0 and self.noise >= 0):
            raise ValueError("a scene needs frames, a frame rate, a shutter in (0, 1] and no negative noise")
        in_order = all(before < after for (before, _), (after, _) in pairwise(self.lighting))
        if not (self.lighting and in_order and all(light >= 0 for _, light in self.lighting)):
            raise ValueError("a scene's lighting is frames in order, each with a brightness that is not negative")

    def brightness(self, moment: float) -> float:
        """How bright it is at a moment, in frames."""
        moments, levels = zip(*self.lighting, strict=True)
        return float(np.interp(moment, moments, levels))

    @property
    def width(self) -> int:
        return int(self.background.shape[1])

    @property
    def height(self) -> int:
        return int(self.background.shape[0])


WALL = (168, 182, 188)

FLOOR = (92, 104, 112)
"""BGR, 0-255."""


def make_background(width: int, height: int) -> Image:
    """An empty hall, H x W x 3 BGR uint8: a wall lit from above left, darker towards its corners, and a floor."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    light = 1.08 - 0.5 * ((x - 0.4) ** 2 + (y - 0.25) ** 2)
    floor = np.clip((y - 0.82) * height / 4 + 0.5, 0, 1)[..., np.newaxis]
    picture = (np.array(WALL) * (1 - floor) + np.array(FLOOR) * floor) * light[..., np.newaxis]
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)
