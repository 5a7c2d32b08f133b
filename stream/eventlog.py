"""The event log as a file: one JSON object a line, each on disk before `write` returns."""

from __future__ import annotations

import filecmp
import itertools
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path

import structlog
from filelock import lock_descriptor

from stream.data import Event
from stream.errors import OutputError, StorageError

_log = structlog.get_logger()
_BEGINNING = b'{"schema":'
_LONGEST_LINE = 1 << 20


def to_line(event: Mapping[str, object]) -> str:
    """One line of JSON without its end. Half a surrogate pair, as in an undecodable file name, stays a JSON escape."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()


class EventFile:
    """Appends events to a JSONL file, which one process, and in it one thread, at a time may do.

    A live run carries on a file that is there. A recorded run (`fresh`) begins anew, so that every replay gives the
    same bytes, and keeps the file that was there as `NAME.previous`, `NAME.previous.2` and so on, each content once.
    A last line that a crash tore is cut off with a warning: it had not been announced.

    Raises OutputError where the file cannot be written, holds something else or is in use; StorageError when the disk
    refuses later: the file then ends with the last event that is whole.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self._path = path
        self._kept: Path | None = None
        _require_events(path)
        self._made = not path.exists()
        try:
            self._file = _hold(path)
            if fresh and path.stat().st_size:
                self._set_aside()
            _cut_torn_line(path, self._file)
            _sync_folder(path.parent)
        except OSError as error:
            raise OutputError(f"cannot log to {path}: {error.strerror}; choose a folder that can be written") from error
        self._size = self._file.seek(0, os.SEEK_END)

    def write(self, event: Event) -> None:
        line = f"{to_line(event.to_json())}\n".encode()
        try:
            _write_durably(self._file, line)
        except OSError as error:
            with suppress(OSError):  # a disk that is gone; the torn line is then cut off at the next start
                self._file.truncate(self._size)
            raise StorageError(f"cannot log to {self._path}: {error.strerror}; make room and start again") from error
        self._size += len(line)

    def close(self) -> None:
        self._file.close()

    def withdraw(self) -> None:
        """Close it, and if this run wrote nothing, put back what it found: the run never began."""
        if not self._size and self._kept:
            self._kept.replace(self._path)
        elif not self._size and self._made:
            self._path.unlink(missing_ok=True)
        self.close()

    def _set_aside(self) -> None:
        with self._file:  # held until the new file is
            self._kept = _spare(self._path)
            self._path.replace(self._kept)
            self._file = _hold(self._path)


def _require_events(path: Path) -> None:
    """Refuse to touch a file that is not an event log, such as the video itself named by mistake."""
    if not path.parent.is_dir():
        raise OutputError(f"cannot log to {path}: there is no folder {path.parent}; make it first")
    if path.exists() and not path.is_file():
        raise OutputError(f"cannot log to {path}: it is not a plain file")
    if path.is_file() and not _begins_like_events(path):
        raise OutputError(f"cannot log to {path}: it holds something else; name a new file or another event log")


def _begins_like_events(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_BEGINNING)) in (_BEGINNING[:length] for length in range(len(_BEGINNING) + 1))
    except OSError as error:
        raise OutputError(f"cannot log to {path}: {error.strerror}; choose a file that can be written") from error


def _hold(path: Path) -> FileIO:
    """Open it to append, for this process alone. The lock lies on the log itself, which whoever held it before may
    have moved or removed after it was opened here."""
    file = path.open("ab", buffering=0)
    if lock_descriptor(file.fileno(), blocking=False) and os.path.samestat(os.fstat(file.fileno()), path.stat()):
        return file
    file.close()
    raise OutputError(f"cannot log to {path}: another unblur is writing there; name another file")


def _spare(path: Path) -> Path:
    """The first name to keep a log under that is free, or holds the very same bytes."""
    names = itertools.chain([""], (f".{number}" for number in itertools.count(2)))
    kept = (path.with_name(f"{path.name}.previous{name}") for name in names)
    return next(one for one in kept if not one.exists() or filecmp.cmp(one, path, shallow=False))


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


def _sync_folder(folder: Path) -> None:
    """A new file's name is as durable as its folder."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
