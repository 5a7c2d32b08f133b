"""The crops of photos that may come to be enrolled: out of memory until that is known."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from stream.errors import OutputError, StorageError


class TempCrops:
    """In a file without a name, in a folder: nothing is left of it once the process ends, however that comes.

    Raises OutputError if nothing can be written there, StorageError when the disk refuses later.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, tuple[int, int]] = {}
        self._file = _nameless(folder)

    def add(self, photo: str, content: bytes) -> None:
        """Lay what a photo's crop is kept as onto it."""
        try:
            self._places[photo] = self._file.seek(0, os.SEEK_END), len(content)
            self._file.write(content)
        except OSError as error:
            raise StorageError(f"cannot put crops aside in {self._folder}: {error.strerror}; make room") from error

    def take(self, photos: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Those of these photos, each with what was laid down of it. Raises KeyError for one of which nothing was."""
        for photo in photos:
            start, length = self._places[photo]
            self._file.seek(start)
            yield photo, self._file.read(length)

    def close(self) -> None:
        self._file.close()


def _nameless(folder: Path) -> IO[bytes]:
    try:
        return TemporaryFile(dir=folder)
    except OSError as error:
        raise OutputError(f"nothing can be written to {folder}: {error.strerror}") from error
