"""How much room on the disk there is, and what takes it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

_EVERY_S = 60.0
"""A folder of evidence may hold a million files."""


class Space(BaseModel):
    """What something takes of its disk, and what is left there, in bytes."""

    name: str
    size: int
    free: int


class Disk:
    """Measures files and folders by their names here, at most once a minute. Safe to use from several threads."""

    def __init__(self, places: Mapping[str, Path]) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._measured_s = -_EVERY_S
        self._spaces: list[Space] = []

    def spaces(self) -> list[Space]:
        """Raises OSError if a disk is gone."""
        with self._lock:
            if time.monotonic() - self._measured_s >= _EVERY_S:
                self._spaces = [_space(name, path) for name, path in self._places.items()]
                self._measured_s = time.monotonic()
            return self._spaces


def _space(name: str, path: Path) -> Space:
    folder = path if path.is_dir() else path.parent
    return Space(name=name, size=sum(_sizes(path)), free=shutil.disk_usage(folder).free)


def _sizes(path: Path) -> Iterator[int]:
    """Of a folder's files; of a database with what SQLite keeps beside it."""
    if path.is_dir():
        with os.scandir(path) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed meanwhile
                    yield entry.stat().st_size
    else:
        for beside in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            with suppress(FileNotFoundError):
                yield beside.stat().st_size
