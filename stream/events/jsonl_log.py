"""The event log as a file: one JSON object a line, each on disk before `write` returns."""

from __future__ import annotations

import filecmp
import glob
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from stream.errors import OutputError, StorageError
from stream.results import Event
from stream.storage.append_only_file import AppendOnlyFile

_log = structlog.get_logger(__name__)
_BEGINNING = b'{"schema":'
EventTransform = Callable[[dict[str, object]], dict[str, object] | None]
"""Changes an event (as `Event.to_json` gives it): returns the same, a new one, or None to delete it."""


def to_line(event: Mapping[str, object]) -> str:
    """One line of JSON without its end. Half a surrogate pair, as in an undecodable file name, stays a JSON escape."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()


class JsonlEventLog:
    """Appends events to a JSONL file, which one process, and in it one thread, at a time may do.

    A live run carries on a file that is there. A recorded run (`fresh`) begins anew, so that every replay gives the
    same bytes, and keeps the file that was there as `NAME.previous`, `NAME.previous.2` and so on, each content once.
    A last line that a crash tore is cut off with a warning: it had not been announced. Where the file was renamed or
    deleted, as by logrotate, the next event goes to the one that has its name now, or to a new one.

    Raises OutputError where the file cannot be written, holds something else or is in use; StorageError when the disk
    refuses later: the file then ends with the last event that is whole.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept: Path | None = None
        _require_events(path)
        self._made = not path.exists()
        try:
            self._journal = AppendOnlyFile(path)
            if fresh and self._journal.size:
                self._kept = _spare(path)
                self._journal.set_aside(self._kept)
        except OSError as error:
            raise OutputError(f"cannot log to {path}: {error.strerror}; choose a folder that can be written") from error

    def write(self, event: Event) -> None:
        line = f"{to_line(event.to_json())}\n".encode()
        try:
            with self._lock:
                if not self._journal.in_place:
                    self._reopen()
                self._journal.append(line)
        except OSError as error:
            raise StorageError(f"cannot log to {self._path}: {error.strerror}; make room and start again") from error

    def _reopen(self) -> None:
        _require_events(self._path)
        journal = AppendOnlyFile(self._path)
        self._journal.close()
        self._journal = journal
        _log.info("the event log was rotated", file=str(self._path))

    def rewrite_events(self, change: EventTransform) -> int:
        """Replace each event by the result of `change`, in one step; returns how many were changed or deleted.

        The old file is removed from the folder, but not overwritten on the disk. Raises StorageError.
        """
        amended = 0

        def changed(line: bytes) -> bytes:
            nonlocal amended
            before = json.loads(line)
            after = change(before)
            if after == before:
                return line
            amended += 1
            return f"{to_line(after)}\n".encode() if after else b""

        try:
            with self._lock:
                if not self._journal.in_place:
                    self._reopen()
                self._journal.rewrite(lambda content: b"".join(map(changed, content.splitlines(keepends=True))))
        except OSError as error:
            raise StorageError(f"cannot rewrite {self._path}: {error.strerror}; make room and try again") from error
        return amended

    def close(self) -> None:
        self._journal.close()

    def discard_if_empty(self) -> None:
        """Close the log; if this run wrote nothing, restore the previous file."""
        if not self._journal.size and self._kept:
            self._kept.replace(self._path)
        elif not self._journal.size and self._made:
            self._path.unlink(missing_ok=True)
        self.close()


def set_aside(path: Path) -> list[Path]:
    """The earlier logs that recorded runs have kept next to this one, without `.part` files, which a crash left and
    which are deleted when that log is opened."""
    logs = path.parent.glob(f"{glob.escape(path.name)}.previous*")
    return sorted(log for log in logs if log.suffix != ".part")


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


def _spare(path: Path) -> Path:
    """The first name for a kept log that is free, or whose file has the same bytes."""
    names = itertools.chain([""], (f".{number}" for number in itertools.count(2)))
    kept = (path.with_name(f"{path.name}.previous{name}") for name in names)
    return next(one for one in kept if not one.exists() or filecmp.cmp(one, path, shallow=False))
