"""Detection of small faces in large frames: overlapping tiles are searched at a finer scale than the whole frame.

A detector that gets a 3840 x 2160 frame at 640 x 360 pixels misses faces of 60 pixels; one that gets it at full size
takes 36 times as long and misses faces that fill it. So the whole frame is searched at the detection size, and also
tiles of twice that size, scaled down to it (benchmarks/detection.py, "sizes").
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stream.interfaces import Detector
from stream.values import Box, FaceDetection, Image

SHRINK = 2
"""Scale factor of tiles: pixels of the frame per pixel of a tile as it is searched."""
OVERLAP = 0.25
"""Share of a tile's side: a face of this size lies entirely in one of two adjacent tiles."""
COARSE = 640
"""Second detection size for the whole frame if the detector's own is larger: YuNet finds no face of more than about
600 pixels."""
SMALL = 24
"""Width of a face, in pixels of the whole frame as it is searched, below which its tile is searched again."""
_EDGE = 2.0
"""Pixels from an inner border of a tile within which a face counts as cut off."""
_SAME = 0.3
"""Intersection over union from which two detections are of one face."""
_WITHIN = 0.6
"""Share of a detection inside a larger one of the whole frame from which it is a part of that face."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a frame, in its pixels: left, top, right, bottom."""

    left: int
    top: int
    right: int
    bottom: int

    def distance(self, box: Box) -> float:
        """Distance between the centers of tile and box, in pixels."""
        x, y = box.center
        return math.hypot((self.left + self.right) / 2 - x, (self.top + self.bottom) / 2 - y)


class TiledDetector:
    """A detector at two or more scales; satisfies `stream.interfaces.Detector`. `detect` searches all tiles."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._tile_side = detector.long_side

    @property
    def long_side(self) -> int:
        """The size in pixels at which the whole frame is searched."""
        return self._detector.long_side

    @long_side.setter
    def long_side(self, pixels: int) -> None:
        self._detector.long_side = pixels

    def detect(self, image: Image) -> list[FaceDetection]:
        """The faces of the whole frame and of all its tiles, best first."""
        whole = self.search_whole(image)
        return merge(whole, [face for tile in self.tiles(image) for face in self.search_tile(image, tile)])

    def tiles(self, image: Image) -> list[Tile]:
        """The tiles, row by row; none if the whole frame is searched finely enough."""
        height, width = image.shape[:2]
        if max(height, width) <= SHRINK * self._tile_side:
            return []
        side = SHRINK * self._tile_side
        return [
            Tile(left, top, min(left + side, width), min(top + side, height))
            for top in _starts(height, side)
            for left in _starts(width, side)
        ]

    def search_whole(self, image: Image) -> list[FaceDetection]:
        """Search the whole frame at the detection size, and also at `COARSE` if that is smaller."""
        faces = self._detector.detect(image)
        if self.long_side <= COARSE or max(image.shape[:2]) <= COARSE:
            return faces
        return merge(faces, self._detect_at(COARSE, image), parts=False)

    def search_tile(self, image: Image, tile: Tile) -> list[FaceDetection]:
        """Search a tile; returns the faces that lie entirely inside it."""
        part = np.ascontiguousarray(image[tile.top : tile.bottom, tile.left : tile.right])
        height, width = image.shape[:2]
        moved = (_shift(face, tile.left, tile.top) for face in self._detect_at(self._tile_side, part))
        return [face for face in moved if _is_inside(face.box, tile, width, height)]

    def _detect_at(self, long_side: int, image: Image) -> list[FaceDetection]:
        before, self.long_side = self.long_side, long_side
        try:
            return self._detector.detect(image)
        finally:
            self.long_side = before


class TileSchedule:
    """Chooses the tiles of a live camera's frame to search now: those with small faces first, then the others in turn,
    within the time that searching the whole frame leaves. Under load, tiles are the first to be skipped."""

    def __init__(self) -> None:
        self._turn = 0
        self._credit_s = 0.0
        self._cost_s = 0.0

    def order(self, tiles: Sequence[Tile], small: Sequence[Box]) -> list[Tile]:
        """All tiles, the most important first: those around `small` faces."""
        turned = [tiles[(self._turn + index) % len(tiles)] for index in range(len(tiles))]
        wanted = around(small, tiles)
        return sorted(turned, key=lambda tile: tile not in wanted)

    def earn(self, spare_s: float | None) -> None:
        """Add the seconds that searching the whole frame left over; None if it was too slow already."""
        self._credit_s = 0.0 if spare_s is None else min(self._credit_s + spare_s, max(2 * self._cost_s, spare_s))

    @property
    def affordable(self) -> bool:
        """Whether there is time for one more tile."""
        return self._credit_s > 0 and self._credit_s >= self._cost_s

    def record_duration(self, seconds: float) -> None:
        """Record the seconds that a tile took."""
        self._cost_s = seconds if not self._cost_s else self._cost_s + 0.2 * (seconds - self._cost_s)
        self._credit_s -= seconds
        self._turn += 1


class Searcher:
    """Searches the tiles of one camera's frames, and merges their faces with those of the whole frame."""

    def __init__(self, detector: TiledDetector) -> None:
        self._detector = detector
        self._schedule = TileSchedule()
        self.searched = 0
        """Tiles searched so far."""

    def refine(
        self, image: Image, whole: Sequence[FaceDetection], small: Sequence[Box], thorough: bool
    ) -> list[FaceDetection]:
        """Merge the faces of the whole frame with those of its tiles: of all tiles if `thorough`, else of those around
        tracked `small` faces."""
        tiles = self._detector.tiles(image)
        return merge(whole, self._search(image, tiles if thorough else around(small, tiles)))

    def refine_within(
        self, image: Image, whole: Sequence[FaceDetection], small: Sequence[Box], spare_s: float | None
    ) -> list[FaceDetection]:
        """Like `refine`, for as many tiles as `spare_s` seconds allow (`TileSchedule.earn`)."""
        tiles = self._detector.tiles(image)
        if not tiles:
            return list(whole)
        self._schedule.earn(spare_s)
        finer: list[FaceDetection] = []
        for tile in self._schedule.order(tiles, small):
            if not self._schedule.affordable:
                break
            began = time.perf_counter()
            finer += self._search(image, [tile])
            self._schedule.record_duration(time.perf_counter() - began)
        return merge(whole, finer)

    def _search(self, image: Image, tiles: Sequence[Tile]) -> list[FaceDetection]:
        self.searched += len(tiles)
        return [face for tile in tiles for face in self._detector.search_tile(image, tile)]


def around(boxes: Iterable[Box], tiles: Sequence[Tile]) -> list[Tile]:
    """For each box the tile whose center is nearest; no tile twice."""
    return list(dict.fromkeys(min(tiles, key=lambda tile: tile.distance(box)) for box in boxes)) if tiles else []


def small_faces(boxes: Iterable[Box], image: Image, long_side: int) -> list[Box]:
    """The boxes that a search of the whole frame at `long_side` pixels is likely to miss."""
    scale = min(1.0, long_side / max(image.shape[:2]))
    return [box for box in boxes if box.width * scale < SMALL]


def merge(whole: Sequence[FaceDetection], finer: Sequence[FaceDetection], parts: bool = True) -> list[FaceDetection]:
    """Merge detections: of duplicates the most confident stays; with `parts`, detections inside a face of `whole` are
    removed. Best first."""
    kept = list(whole)
    for face in sorted(finer, key=lambda each: -each.confidence):
        duplicate = next((other for other in kept if _iou(face.box, other.box) > _SAME), None)
        if duplicate is not None:
            if face.confidence > duplicate.confidence:
                kept[kept.index(duplicate)] = face
        elif not (parts and any(_share_inside(face.box, other.box) > _WITHIN for other in whole)):
            kept.append(face)
    return sorted(kept, key=lambda face: -face.confidence)


def _starts(length: int, side: int) -> list[int]:
    """Evenly spaced starts of the tiles along one side, in pixels."""
    if length <= side:
        return [0]
    count = math.ceil((length - OVERLAP * side) / ((1 - OVERLAP) * side))
    return [round(index * (length - side) / (count - 1)) for index in range(count)]


def _shift(face: FaceDetection, left: int, top: int) -> FaceDetection:
    landmarks = (face.landmarks + np.array([left, top], np.float32)).astype(np.float32)
    return replace(face, box=face.box.shifted(left, top), landmarks=landmarks)


def _is_inside(box: Box, tile: Tile, width: int, height: int) -> bool:
    """Whether no inner border of the tile cuts the box."""
    return (
        (tile.left == 0 or box.x > tile.left + _EDGE)
        and (tile.top == 0 or box.y > tile.top + _EDGE)
        and (tile.right == width or box.x + box.width < tile.right - _EDGE)
        and (tile.bottom == height or box.y + box.height < tile.bottom - _EDGE)
    )


def _intersection(one: Box, other: Box) -> float:
    """Area of the intersection of two boxes, in pixels."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0.0, width) * max(0.0, height)


def _iou(one: Box, other: Box) -> float:
    common = _intersection(one, other)
    return common / (one.area + other.area - common)


def _share_inside(part: Box, whole: Box) -> float:
    return _intersection(part, whole) / part.area if whole.area > part.area else 0.0
