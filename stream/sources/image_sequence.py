"""Picture files in a row, as a recording."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path

from stream.errors import DamagedSourceError, SourceError
from stream.storage.images import is_picture, read_picture, read_still
from stream.storage.system_files import is_sidecar
from stream.values import Image

_NAMED = 5
"""Files that a message names; the others are counted."""


class ImageSequence:
    """Pictures shown `fps` a second, in natural order of their names (2.jpg before 10.jpg). Sizes may differ.

    Files that are no pictures by their names, and folders, are not looked at; unless they are text, the end says so.
    """

    stills = True

    def __init__(self, name: str, paths: Sequence[Path], fps: Fraction) -> None:
        self.name = name
        self.time_base = 1 / fps
        self._paths = sorted((path for path in paths if is_picture(path)), key=_natural)
        self._passed_over = sorted(path.name for path in paths if not is_picture(path) and not is_sidecar(path))
        if not self._paths:
            others = f"; not looked at: {_some(self._passed_over)}" if self._passed_over else ""
            raise SourceError(f"{name}: no pictures there (.jpg, .png, .webp, .avif, .heic, .bmp, .tif, .gif){others}")
        if len(self._paths) == 1:
            read_picture(self._paths[0])

    @property
    def duration_s(self) -> float:
        return float(len(self._paths) * self.time_base)

    @property
    def frames(self) -> int:
        return len(self._paths)

    @property
    def is_stated(self) -> bool:
        return True

    def play(self, from_s: float, to_s: float | None) -> Generator[tuple[int, Image]]:
        times = [float(index * self.time_base) for index in range(len(self._paths))]
        wanted = [index for index, at in enumerate(times) if from_s <= at and (to_s is None or at < to_s)]
        unreadable: list[SourceError] = []
        animated: list[str] = []
        for index in wanted:
            try:
                still = read_still(self._paths[index])
            except SourceError as error:
                unreadable.append(error)
                continue
            if still.remark:
                animated.append(f"{self._paths[index].name}: {still.remark}")
            yield index, still.image
        self._complain(unreadable, animated, len(wanted))

    def _complain(self, unreadable: Sequence[SourceError], animated: Sequence[str], wanted: int) -> None:
        lost = []
        if unreadable:
            lost.append(f"{len(unreadable)} of {wanted} pictures could not be read; the first: {unreadable[0]}")
        if animated:
            lost.append(_some(animated))
        if self._passed_over:
            lost.append(f"not looked at: {_some(self._passed_over)}")
        if lost:
            raise DamagedSourceError(f"{self.name}: {'; '.join(lost)}")


def _some(names: Sequence[str]) -> str:
    """The first of them, and how many the others are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _natural(path: Path) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", str(path))]
