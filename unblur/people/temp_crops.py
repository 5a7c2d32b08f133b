"""Temporary storage on disk for the crops of photos during an enrollment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from stream.errors import OutputError, StorageError


class TempCrops:
    """Crops in an unnamed temporary file in `folder`, which disappears when the process ends, also after a crash.

    Raises OutputError if the file cannot be created, StorageError if it cannot be written later.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, tuple[int, int]] = {}
        self._file = _open_unnamed(folder)

    def add(self, photo: str, content: bytes) -> None:
        """Append the encoded crop of a photo."""
        try:
            self._places[photo] = self._file.seek(0, os.SEEK_END), len(content)
            self._file.write(content)
        except OSError as error:
            raise StorageError(f"cannot put crops aside in {self._folder}: {error.strerror}; make room") from error

    def read(self, photos: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield each of these photos with its encoded crop. Raises KeyError for a photo that was not added."""
        for photo in photos:
            start, length = self._places[photo]
            self._file.seek(start)
            yield photo, self._file.read(length)

    def close(self) -> None:
        self._file.close()


def _open_unnamed(folder: Path) -> IO[bytes]:
    try:
        return TemporaryFile(dir=folder)
    except OSError as error:
        raise OutputError(f"nothing can be written to {folder}: {error.strerror}") from error
