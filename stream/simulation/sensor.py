"""The simulated camera's sensor: what it makes of a scene.

While the shutter is open it adds up linear light, so a moving person is smeared along the path: true motion blur, face
and silhouette alike. Before a background at rest the sum over all moments of the exposure is that of the person alone,
laid over the background by the share of the time in which it was covered; it is taken once per passage, over
sub-frames a quarter of a pixel apart. Where the smeared edges of two people meet, what each covers is taken to be
independent of the other. The light is taken to be what it is in the middle of the exposure.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from stream.simulation.cutout import encoded, linear
from stream.simulation.scene import Occluder, Scene, WalkerPath
from stream.values import Array, Image

SUBFRAMES = 4
"""Per pixel of motion."""
_NOISE_MARGIN = 64


class Sensor:
    """Takes a scene's pictures. Any frame can be asked for, in any order, and is always the same."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._background = np.asarray(cv2.cvtColor(linear(scene.background), cv2.COLOR_BGR2BGRA), np.float32)
        passing: list[WalkerPath | Occluder] = [*scene.passages, *scene.occluders]
        self._layers = [_Layer(each, scene.shutter) for each in passing]
        shape = scene.height + _NOISE_MARGIN, scene.width + _NOISE_MARGIN, 3
        # Shot noise grows with the root of the light, and gamma encoding flattens about that: one sigma for all
        # levels. One field, laid differently over each frame, costs a twentieth of drawing a new one.
        field = np.random.default_rng(scene.seed).standard_normal(shape, np.float32) * scene.noise
        self._noise = np.rint(field).astype(np.int16)

    def render_frame(self, index: int) -> Image:
        """The picture of frame `index`, whose exposure lies around the moment `index`: H x W x 3 BGR uint8."""
        scene = self.scene
        light, picture = self._background.copy(), scene.background.copy()
        touched = [layer.cover(light, index, (0, 0)) for layer in self._layers]
        brightness = scene.brightness(index)
        if brightness != 1:
            picture = encoded(np.minimum(light[..., :3] * np.float32(brightness), 1))
        else:
            for rows, columns in touched:
                picture[rows, columns] = encoded(light[rows, columns, :3])
        x, y = np.random.default_rng((scene.seed, index)).integers(_NOISE_MARGIN, size=2)
        noise = self._noise[y : y + scene.height, x : x + scene.width]
        return np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), np.uint8)

    def hidden(self, index: int, passage: WalkerPath) -> float:
        """The share (0..1) of a passage's face box that what is nearer covers during a frame's exposure."""
        box = passage.face(index)
        corner = math.floor(box.x), math.floor(box.y)
        covered = np.zeros((math.ceil(box.height), math.ceil(box.width), 4), np.float32)
        for layer in self._layers[self.scene.passages.index(passage) + 1 :]:
            layer.cover(covered, index, corner)
        return float(covered[..., 3].mean())


class _Layer:
    """A moving person or object, blurred by the exposure, to be composed over the background."""

    def __init__(self, passing: WalkerPath | Occluder, shutter: float) -> None:
        self._passing = passing
        path = passing.velocity[0] * shutter, passing.velocity[1] * shutter
        self._margin = edge = math.ceil(max(map(abs, path)) / 2) + 1
        light = cv2.copyMakeBorder(passing.light, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
        self._light = np.asarray(cv2.filter2D(light, -1, _streak(path, edge)), np.float32)

    def cover(self, light: Array, moment: float, corner: tuple[int, int]) -> tuple[slice, slice]:
        """Lay it over `light` (H x W x 4 as a cutout's, `corner` its top left pixel in the frame), in place.

        Returns the rows and columns that were touched.
        """
        x, y = (place - self._margin - edge for place, edge in zip(self._passing.origin(moment), corner, strict=True))
        rows, columns = (
            _within(y, self._light.shape[0], light.shape[0]),
            _within(x, self._light.shape[1], light.shape[1]),
        )
        size = columns.stop - columns.start, rows.stop - rows.start
        if min(size) > 0:
            shift = np.array([[1, 0, x - columns.start], [0, 1, y - rows.start]], np.float32)
            passing = cv2.warpAffine(self._light, shift, size, flags=cv2.INTER_LINEAR)
            light[rows, columns] *= cv2.merge([1 - passing[..., 3]] * 4)
            light[rows, columns] += passing
        return rows, columns


def _within(start: float, length: int, limit: int) -> slice:
    """The whole pixels of 0..limit that an interval touches."""
    first = min(max(0, math.floor(start)), limit)
    return slice(first, max(first, min(limit, math.ceil(start + length))))


def _streak(path: tuple[float, float], radius: int) -> Array:
    """What a point of light leaves that moves along `path` (x, y in pixels) with the shutter open; sums to 1."""
    count = max(1, math.ceil(math.hypot(*path) * SUBFRAMES))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    for part in range(count):
        x, y = (radius + way * ((part + 0.5) / count - 0.5) for way in path)
        left, top = math.floor(x), math.floor(y)
        right_share, low_share = x - left, y - top
        shares = np.outer((1 - low_share, low_share), (1 - right_share, right_share))
        kernel[top : top + 2, left : left + 2] += shares
    return kernel / np.float32(count)
