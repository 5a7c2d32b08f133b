"""The simulated camera's sensor: what it makes of a scene.

While the shutter is open it adds up linear light, so a moving face is smeared along its path: true motion blur, with
the right mixture at the silhouette and where one person passes before another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from stream.cutout import encoded, linear
from stream.data import Array, Image
from stream.scene import Passage, Scene

STEP = 2.0
"""Pixels of motion per sub-frame, at most."""
_NOISE_MARGIN = 64


class Area(NamedTuple):
    """Whole pixels of the frame: left and top within, right and bottom beyond."""

    left: int
    top: int
    right: int
    bottom: int

    def meets(self, other: Area) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def joined(self, other: Area) -> Area:
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Area(left, top, max(self.right, other.right), max(self.bottom, other.bottom))

    def clipped(self, limits: Area) -> Area:
        left, top = max(self.left, limits.left), max(self.top, limits.top)
        return Area(left, top, min(self.right, limits.right), min(self.bottom, limits.bottom))


class Sensor:
    """Takes a scene's pictures. Any frame can be asked for, in any order, and is always the same."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._background = np.asarray(cv2.cvtColor(linear(scene.background), cv2.COLOR_BGR2BGRA), np.float32)
        shape = scene.height + _NOISE_MARGIN, scene.width + _NOISE_MARGIN, 3
        # Shot noise grows with the root of the light, and gamma encoding flattens about that: one sigma for all
        # levels. One field, laid differently over each frame, costs a twentieth of drawing a new one.
        field = np.random.default_rng(scene.seed).standard_normal(shape, np.float32) * scene.noise
        self._noise = np.rint(field).astype(np.int16)

    def expose(self, index: int) -> Image:
        """The picture of frame `index`: H x W x 3 BGR uint8."""
        scene = self.scene
        picture = scene.background.copy()
        for area, people in _groups(self._swept(index)):
            picture[area.top : area.bottom, area.left : area.right] = self._exposed(area, people, index)
        x, y = np.random.default_rng((scene.seed, index)).integers(_NOISE_MARGIN, size=2)
        noise = self._noise[y : y + scene.height, x : x + scene.width]
        return np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), np.uint8)

    def hidden(self, index: int, passage: Passage) -> float:
        """The share (0..1) of a passage's face box that nearer people cover in the middle of a frame's exposure."""
        box = passage.face(index)
        left, top = math.floor(box.x), math.floor(box.y)
        area = Area(left, top, left + math.ceil(box.width), top + math.ceil(box.height))
        canvas = np.zeros((area.bottom - area.top, area.right - area.left, 4), np.float32)
        for other in self.scene.passages[self.scene.passages.index(passage) + 1 :]:
            _lay(canvas, other, area, index)
        return float(canvas[..., 3].mean())

    def _swept(self, index: int) -> list[tuple[Area, list[int]]]:
        """The pixels that each person in view (by rank in depth) touches during an exposure."""
        frame = Area(0, 0, self.scene.width, self.scene.height)
        areas = [_covered(passage, index, self.scene.shutter / 2) for passage in self.scene.passages]
        return [(area.clipped(frame), [rank]) for rank, area in enumerate(areas) if area.meets(frame)]

    def _exposed(self, area: Area, ranks: Sequence[int], index: int) -> Image:
        """An area after the shutter was open around the middle of frame `index`, with the people of those ranks."""
        people = [self.scene.passages[rank] for rank in ranks]
        count = max(1, math.ceil(max(person.speed for person in people) * self.scene.shutter / STEP))
        empty = self._background[area.top : area.bottom, area.left : area.right]
        total = np.zeros_like(empty)
        for part in range(count):
            moment = index + self.scene.shutter * ((part + 0.5) / count - 0.5)
            light = empty.copy()
            for person in people:
                _lay(light, person, area, moment)
            total += light
        return encoded(total[..., :3] / np.float32(count))


def _covered(passage: Passage, moment: float, half_open: float) -> Area:
    """The pixels that a cutout touches within `half_open` frames of a moment."""
    starts = np.array([passage.origin(moment - half_open), passage.origin(moment + half_open)])
    (left, top), (right, bottom) = starts.min(axis=0), starts.max(axis=0) + passage.cutout.size
    return Area(math.floor(left), math.floor(top), math.ceil(right) + 1, math.ceil(bottom) + 1)


def _lay(light: Array, passage: Passage, area: Area, moment: float) -> None:
    """Put a person before `light` (H x W x 4, as a cutout's), which shows `area`; in place."""
    within = _covered(passage, moment, 0.0).clipped(area)
    x, y = passage.origin(moment)
    shift = np.array([[1, 0, x - within.left], [0, 1, y - within.top]], np.float32)
    size = within.right - within.left, within.bottom - within.top
    if min(size) <= 0:
        return
    person = cv2.warpAffine(passage.cutout.light, shift, size, flags=cv2.INTER_LINEAR)
    part = light[within.top - area.top : within.bottom - area.top, within.left - area.left : within.right - area.left]
    part *= cv2.merge([1 - person[..., 3]] * 4)
    part += person


def _groups(swept: Iterable[tuple[Area, list[int]]]) -> list[tuple[Area, list[int]]]:
    """Areas that meet, joined: people who pass before each other must be exposed together."""
    groups: list[tuple[Area, list[int]]] = []
    for area, people in swept:
        while touching := [group for group in groups if group[0].meets(area)]:
            for group in touching:
                groups.remove(group)
                area, people = area.joined(group[0]), people + group[1]  # noqa: PLW2901  grows until it meets nothing
        groups.append((area, sorted(people)))
    return groups
