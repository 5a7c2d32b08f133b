"""Overlay: boxes and labels drawn on a frame.

Every face has a box in the color of its state, and a label with the name and the score; a face whose crop was restored
has blue corners on its box and the method on its label. Letters are white on labels dark enough for a contrast of 4.5
to 1 (WCAG 2.2, 1.4.3), and every line has a black edge, so that it is visible on any image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import lru_cache

import cv2
import numpy as np

from stream.outputs.text import Colour, TextRenderer, line_height
from stream.results import Identity
from stream.values import Box, Frame, Image, Method

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
KNOWN: Colour = (61, 128, 21)
"""Green; amber for an unknown person, blue for a face being restored, gray for a face without identity yet."""
UNKNOWN: Colour = (9, 83, 180)
RESTORING: Colour = (216, 78, 29)
UNDECIDED: Colour = (99, 85, 75)

_BRIGHT: dict[Colour, Colour] = {
    KNOWN: (94, 197, 34),
    UNKNOWN: (36, 191, 251),
    RESTORING: (250, 165, 96),
    UNDECIDED: (225, 213, 203),
}
"""The same for a line between black edges, where white does not stand on it."""
_MARK: dict[Method, str] = {"none": "", "richardson-lucy": "  RL", "cnn": "  CNN"}
_LONGEST_NAME = 40
_SMALLEST_LETTERS_PX = 12
_PLATES_KEPT = 128
_ROWS_AWAY = 3

_Area = tuple[int, int, int, int]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Label:
    """A face on the frame, with its state.

    `identity` is None until there is evidence. `restoring`: a crop of this face is being restored now.
    """

    box: Box
    identity: Identity | None = None
    restoring: bool = False

    @property
    def restored(self) -> bool:
        """The latest crop of this face was restored."""
        return self.identity is not None and self.identity.deblurred_by != "none"


class Overlay:
    """Draws labels on frames, with a cache of rendered texts; wall times are in `zone` (None: this machine's). For one
    thread at a time."""

    def __init__(self, lettering: TextRenderer, zone: tzinfo | None = UTC) -> None:
        self._zone = zone
        self._plate = lru_cache(maxsize=_PLATES_KEPT)(lettering.line)

    def draw(self, frame: Frame, labels: Sequence[Label], fps: float | None = None) -> Image:
        """A copy of the frame's picture with boxes, names, camera, time and, where given, frames per second.

        The time is the wall time if the frame has one, else the media time. Letters are 1/40 of the picture's height.
        """
        picture = frame.image.copy()
        labels = [label for label in labels if _touches(label.box, picture)]
        scale = max(round(picture.shape[0] / 360), 1)
        for label in labels:
            _draw_box(picture, label, scale)
        size = max(picture.shape[0] // 40, _SMALLEST_LETTERS_PX)
        if line_height(size) * 2 <= picture.shape[0]:
            self._write(picture, frame, labels, fps, size)
        return picture

    def _write(self, picture: Image, frame: Frame, labels: Sequence[Label], fps: float | None, size: int) -> None:
        taken = [_paste(picture, self._plate(_status(frame, fps, self._zone), size, WHITE, BLACK), 0, 0)]
        for label in labels:
            text = _caption(label)
            if text:
                plate = self._plate(text, size, WHITE, _color(label))
                taken.append(_paste(picture, plate, *_place(label.box, plate, picture, taken)))


def _status(frame: Frame, fps: float | None, zone: tzinfo | None) -> str:
    parts = [frame.camera, _time(frame, zone)]
    return "  ".join(parts if fps is None else [*parts, f"{fps:.0f} fps"])


def _time(frame: Frame, zone: tzinfo | None) -> str:
    if frame.wall_time is not None:
        return frame.wall_time.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    minutes, seconds = divmod(frame.pts_s, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{int(seconds):02}"


def _caption(label: Label) -> str:
    """The text of a label; empty without an identity."""
    identity = label.identity
    if identity is None:
        return "restoring" if label.restoring else ""
    name = "unknown" if identity.name is None else identity.name
    if len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME - 1] + "…"
    return f"{name}  {identity.score:.2f}{_MARK[identity.deblurred_by]}"


def _color(label: Label) -> Colour:
    if label.identity is not None and label.identity.name is not None:
        return KNOWN
    if label.restoring:
        return RESTORING
    return UNDECIDED if label.identity is None else UNKNOWN


def _touches(box: Box, picture: Image) -> bool:
    height, width = picture.shape[:2]
    return box.x < width and box.y < height and box.x + box.width > 0 and box.y + box.height > 0


def _draw_box(picture: Image, label: Label, scale: int) -> None:
    left, top, width, height = _drawable(label.box, picture)
    right, bottom = left + width, top + height
    for colour, thickness in ((BLACK, 3 * scale), (_BRIGHT[_color(label)], scale)):
        cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness)
    if label.restored or label.restoring:
        _draw_corners(picture, (left, top, right, bottom), scale)


def _draw_corners(picture: Image, box: _Area, scale: int) -> None:
    left, top, right, bottom = box
    arm = max(min(right - left, bottom - top) // 4, 2)
    for x, y, dx, dy in ((left, top, 1, 1), (right, top, -1, 1), (left, bottom, 1, -1), (right, bottom, -1, -1)):
        for colour, thickness in ((BLACK, 5 * scale), (_BRIGHT[RESTORING], 3 * scale)):
            corner = np.array([(x + dx * arm, y), (x, y), (x, y + dy * arm)], np.int32)
            cv2.polylines(picture, [corner], isClosed=False, color=colour, thickness=thickness)


def _drawable(box: Box, picture: Image) -> tuple[int, int, int, int]:
    """The box in whole pixels; far outside the picture it is cut, as OpenCV's coordinates are 16 bits wide."""
    height, width = picture.shape[:2]
    left, top = max(box.x, -width), max(box.y, -height)
    right, bottom = min(box.x + box.width, 2 * width), min(box.y + box.height, 2 * height)
    return Box(left, top, max(right - left, 1), max(bottom - top, 1)).rounded()


def _place(box: Box, plate: Image, picture: Image, taken: Sequence[_Area]) -> tuple[int, int]:
    """Left and top of the plate: above the box, else below, inside or next to it, where it covers least."""
    height, width = plate.shape[:2]
    left, top, box_width, box_height = _drawable(box, picture)
    right, bottom = left + box_width, top + box_height
    offers = [(left, top - height), (left, bottom), (left, top), (right, top), (left - width, top)]
    for row in range(1, _ROWS_AWAY + 1):
        offers += [(left, top - (row + 1) * height), (left, bottom + row * height)]
    inside = [_inside(x, y, plate, picture) for x, y in offers]
    return min(inside, key=lambda corner: _covered((*corner, corner[0] + width, corner[1] + height), taken))


def _inside(x: int, y: int, plate: Image, picture: Image) -> tuple[int, int]:
    return (
        min(max(x, 0), max(picture.shape[1] - plate.shape[1], 0)),
        min(max(y, 0), max(picture.shape[0] - plate.shape[0], 0)),
    )


def _covered(area: _Area, taken: Sequence[_Area]) -> int:
    """Pixels of the area that are covered already."""
    left, top, right, bottom = area
    return sum(max(min(right, r) - max(left, x), 0) * max(min(bottom, b) - max(top, y), 0) for x, y, r, b in taken)


def _paste(picture: Image, plate: Image, x: int, y: int) -> _Area:
    height, width = picture.shape[:2]
    plate = plate[: height - y, : width - x]
    area = (x, y, x + plate.shape[1], y + plate.shape[0])
    picture[area[1] : area[3], area[0] : area[2]] = plate
    return area
