"""Picture files in a row, as a recording."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path

from stream.animation import count_pictures
from stream.data import Image
from stream.errors import DamagedSourceError, SourceError
from stream.picture import is_picture, read_picture


class Album:
    """Pictures shown `fps` a second, in natural order of their names (2.jpg before 10.jpg). Sizes may differ."""

    def __init__(self, name: str, paths: Sequence[Path], fps: Fraction) -> None:
        self.name = name
        self.time_base = 1 / fps
        self._paths = sorted((path for path in paths if is_picture(path)), key=_natural)
        if not self._paths:
            raise SourceError(f"{name}: no pictures there (.jpg, .png, .webp, .bmp, .tif, .gif)")
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
        for index in wanted:
            try:
                image = read_picture(self._paths[index])
            except SourceError as error:
                unreadable.append(error)
            else:
                yield index, image
        self._complain(wanted, unreadable)

    def _complain(self, wanted: Sequence[int], unreadable: Sequence[SourceError]) -> None:
        losses = []
        if unreadable:
            lost = f"{len(unreadable)} of {len(wanted)} pictures could not be read"
            losses.append(f"{lost}; the first: {unreadable[0]}")
        several = [
            (count, path) for path in (self._paths[each] for each in wanted) if (count := count_pictures(path)) > 1
        ]
        if several:
            count, path = several[0]
            losses.append(
                f"{len(several)} files hold more than one picture, of which only the first was looked at, "
                f"such as {path.name}, which holds {count}"
            )
        if losses:
            raise DamagedSourceError(f"{self.name}: {'; '.join(losses)}")


def _natural(path: Path) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", str(path))]
