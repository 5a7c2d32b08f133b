"""What passes before the simulated camera: people who walk past on straight lines while the camera stands still."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from stream.cutout import Cutout
from stream.data import Box, Image


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
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
    def speed(self) -> float:
        """Pixels per frame."""
        return math.hypot(*self.velocity)

    def origin(self, moment: float) -> tuple[float, float]:
        """Where the cutout's top left corner is at a moment, in frames."""
        x, y = self.cutout.face.centre
        elapsed = moment - self.at
        return self.through[0] - x + self.velocity[0] * elapsed, self.through[1] - y + self.velocity[1] * elapsed

    def face(self, moment: float) -> Box:
        return self.cutout.face.moved(*self.origin(moment))

    def span(self, width: int, height: int) -> tuple[float, float]:
        """The moments, in frames, at which the cutout enters and leaves a frame of that size."""
        spans = [
            _crossing(start, size, speed, limit)
            for start, size, speed, limit in zip(
                self.origin(0.0), self.cutout.size, self.velocity, (width, height), strict=True
            )
        ]
        return max(enter for enter, _ in spans), min(leave for _, leave in spans)

    def entering(self, frame: float, width: int, height: int) -> Passage:
        """The same walk, timed so that the cutout enters the frame at that moment."""
        return replace(self, at=self.at + frame - self.span(width, height)[0])


def _crossing(start: float, size: float, speed: float, limit: float) -> tuple[float, float]:
    """When an interval that begins at `start` at moment 0 overlaps 0..limit."""
    if speed == 0:
        return (-math.inf, math.inf) if -size < start < limit else (math.inf, -math.inf)
    first, last = sorted(((-size - start) / speed, (limit - start) / speed))
    return first, last


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A clip before it is taken: `background` is the empty picture, `passages` stand in order of depth, the farthest
    first. `shutter` is the share of a frame's time in which the shutter is open (0..1]; `noise` the standard deviation
    of the sensor's noise in grey levels of 255."""

    background: Image
    passages: tuple[Passage, ...]
    frames: int
    fps: int = 30
    shutter: float = 0.6
    noise: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.shutter <= 1 and self.frames > 0 and self.fps > 0 and self.noise >= 0):
            raise ValueError("a scene needs frames, a frame rate, a shutter in (0, 1] and no negative noise")

    @property
    def width(self) -> int:
        return int(self.background.shape[1])

    @property
    def height(self) -> int:
        return int(self.background.shape[0])
