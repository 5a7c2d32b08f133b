"""Append-only file of lines: each is on disk before `append` returns; one process writes at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import FileIO
from pathlib import Path

import structlog
from filelock import lock_descriptor

from stream.errors import OutputError
from stream.storage.atomic_files import SHARED, part_path, sync_folder

_log = structlog.get_logger()
_LONGEST_LINE = 1 << 20


class AppendOnlyFile:
    """Appends lines; every thread may. A last line that a crash tore is cut off with a warning: it had not been
    announced.

    Raises OutputError where another process writes, OSError where the disk refuses: the file then ends with the last
    line that is whole.
    """

    def __init__(self, path: Path, mode: int = SHARED) -> None:
        self.path, self._mode = path, mode
        self._lock = threading.Lock()
        self._file = _hold(path, mode)
        part_path(path).unlink(missing_ok=True)  # a crash while it was written anew
        _cut_torn_line(path, self._file)
        sync_folder(path.parent)
        self.size = self._file.seek(0, os.SEEK_END)

    @property
    def in_place(self) -> bool:
        """Whether the file that is written still has its name; it may have been rotated away, or deleted."""
        with self._lock, suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())
        return False

    def append(self, line: bytes) -> None:
        """Write `line`, which ends with a line feed."""
        with self._lock:
            self.size = self._file.seek(
                0, os.SEEK_END
            )  # another program may have truncated it (logrotate's copytruncate)
            try:
                _write_durably(self._file, line)
            except OSError:
                with suppress(OSError):  # a disk that is gone; the torn line is then cut off at the next start
                    self._file.truncate(self.size)
                raise
            self.size += len(line)

    def rewrite(self, change: Callable[[bytes], bytes]) -> None:
        """Put what `change` makes of the whole content in its place, in one step."""
        with self._lock:
            content = change(self.path.read_bytes())
            part = part_path(self.path)
            part.unlink(missing_ok=True)
            file = _hold(part, self._mode)
            try:
                _write_durably(file, content)
                part.replace(self.path)
            except OSError:
                file.close()
                part.unlink(missing_ok=True)
                raise
            self._file.close()  # held until the new file is
            self._file, self.size = file, len(content)
            sync_folder(self.path.parent)

    def set_aside(self, kept: Path) -> None:
        """Begin anew; what was written so far goes by the name `kept`."""
        with self._lock, self._file:  # held until the new file is
            self.path.replace(kept)
            self._file = _hold(self.path, self._mode)
            self.size = 0

    def remove(self) -> None:
        """Close and delete the file."""
        with self._lock, self._file:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        self._file.close()


def is_held(path: Path) -> bool:
    """Whether a process writes to it now."""
    with path.open("rb") as file:
        return not lock_descriptor(file.fileno(), blocking=False)


def _hold(path: Path, mode: int) -> FileIO:
    """Open the file to append, with an exclusive lock. The previous holder of the lock may have moved or removed the
    file after it was opened here, which is checked."""
    file = FileIO(path, "ab", opener=partial(os.open, mode=mode))
    if lock_descriptor(file.fileno(), blocking=False) and os.path.samestat(os.fstat(file.fileno()), path.stat()):
        return file
    file.close()
    raise OutputError(f"cannot log to {path}: another unblur is writing there; end it, or name another file")


def _cut_torn_line(path: Path, file: FileIO) -> None:
    with path.open("rb") as reader:
        size = reader.seek(0, os.SEEK_END)
        reader.seek(max(size - _LONGEST_LINE, 0))
        torn = len(reader.read().rpartition(b"\n")[2])
    if torn:
        file.truncate(size - torn)
        _log.warning("cut off a last line that a crash had torn", file=str(path), bytes=torn)


def _write_durably(file: FileIO, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())
