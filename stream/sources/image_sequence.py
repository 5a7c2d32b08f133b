"""A sequence of image files, as a recording."""

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
"""Number of files that a message names; the others are counted."""


class ImageSequence:
    """Image files as frames, `fps` a second, in natural order of their names (2.jpg before 10.jpg). Sizes may differ.

    Files whose names have no image suffix, and folders, are skipped; unless they are text, the end reports them.
    """

    stills = True

    def __init__(self, name: str, paths: Sequence[Path], fps: Fraction) -> None:
        self.name = name
        self.time_base = 1 / fps
        self._paths = sorted((path for path in paths if is_picture(path)), key=_natural_key)
        self._skipped = sorted(path.name for path in paths if not is_picture(path) and not is_sidecar(path))
        if not self._paths:
            others = f"; not looked at: {_summarize(self._skipped)}" if self._skipped else ""
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
        chosen = [index for index, at in enumerate(times) if from_s <= at and (to_s is None or at < to_s)]
        unreadable: list[SourceError] = []
        animated: list[str] = []
        for index in chosen:
            try:
                still = read_still(self._paths[index])
            except SourceError as error:
                unreadable.append(error)
                continue
            if still.remark:
                animated.append(f"{self._paths[index].name}: {still.remark}")
            yield index, still.image
        self._report_problems(unreadable, animated, len(chosen))

    def _report_problems(self, unreadable: Sequence[SourceError], animated: Sequence[str], chosen: int) -> None:
        problems = []
        if unreadable:
            problems.append(f"{len(unreadable)} of {chosen} pictures could not be read; the first: {unreadable[0]}")
        if animated:
            problems.append(_summarize(animated))
        if self._skipped:
            problems.append(f"not looked at: {_summarize(self._skipped)}")
        if problems:
            raise DamagedSourceError(f"{self.name}: {'; '.join(problems)}")


def _summarize(names: Sequence[str]) -> str:
    """Format the first names, and the number of the others."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _natural_key(path: Path) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", str(path))]
