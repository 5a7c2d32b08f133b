"""A queue on disk of the lines to be stored while another program holds the SQLite database locked."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from stream.errors import OutputError, StorageError
from stream.storage.append_only_file import AppendOnlyFile, is_held

CAPACITY_BYTES = 256 << 20
"""About 400,000 events: more than a day of a busy installation."""


class EventSpool:
    """A queue of lines in `DATABASE.waiting` (or `.waiting.2` and so on, where another process holds that one): each is
    on disk before `append` returns, and the first to come is the first to go. Files that a process left which was
    killed are taken over. A file is there only as long as something waits.

    For one thread at a time. Raises OSError where the disk refuses.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._journals = [journal for path in spool_files(database) if (journal := _take_over(path))]
        self._taken = 0
        self._count = sum(len(_lines(journal.path)) for journal in self._journals)

    def __len__(self) -> int:
        return self._count

    def append(self, line: bytes) -> None:
        """Put a line, which ends with a line feed, at the end. Raises StorageError where there are too many."""
        if not self._journals:
            self._journals.append(_begin(self._database))
        if sum(journal.size for journal in self._journals) + len(line) > CAPACITY_BYTES:
            raise StorageError(
                f"{self._count} lines wait for {self._database}, which another program holds locked: no more may wait;"
                " end that program, and start again"
            )
        self._journals[-1].append(line)
        self._count += 1

    def first(self, most: int) -> list[bytes]:
        """The oldest lines, at most so many; they stay."""
        if not self._journals:
            return []
        with self._journals[0].path.open("rb") as file:
            file.seek(self._taken)
            return list(itertools.islice(file, most))

    def remove(self, lines: Sequence[bytes]) -> None:
        """What `first` has given is in the database now. A crash before its file is gone brings it there once more."""
        self._taken += sum(map(len, lines))
        self._count -= len(lines)
        if self._journals and self._taken >= self._journals[0].size:
            self._journals.pop(0).remove()
            self._taken = 0

    def close(self) -> None:
        """Close the files; waiting lines stay on disk, for the next process that opens the database."""
        for journal in self._journals:
            journal.close()


def spool_files(database: Path) -> list[Path]:
    """The spool files of a database, of all processes, oldest first."""
    found = database.parent.glob(f"{glob.escape(database.name)}.waiting*")
    return sorted((path for path in found if path.suffix != ".part"), key=lambda path: (len(path.name), path.name))


def read_spooled(database: Path) -> list[bytes]:
    """All complete lines in the spool files of a database. Raises OSError."""
    return [line for path in spool_files(database) for line in _lines(path)]


def held_elsewhere(database: Path) -> bool:
    """Whether another process has lines waiting for this database."""
    with suppress(FileNotFoundError):  # it has just stored them
        return any(is_held(path) for path in spool_files(database))
    return False


def _lines(path: Path) -> list[bytes]:
    with suppress(FileNotFoundError):  # they have just been stored
        return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return []


def _take_over(path: Path) -> AppendOnlyFile | None:
    """The file of a process that is gone; None where another process holds it."""
    try:
        journal = AppendOnlyFile(path, path.stat().st_mode & 0o777)
    except (OutputError, FileNotFoundError):
        return None
    if journal.size:
        return journal
    journal.remove()
    return None


def _begin(database: Path) -> AppendOnlyFile:
    """A new file, readable for whom the database is."""
    mode = database.stat().st_mode & 0o777
    names = itertools.chain([""], (f".{number}" for number in itertools.count(2)))
    for path in (database.with_name(f"{database.name}.waiting{name}") for name in names):
        with suppress(OutputError, FileNotFoundError):  # another process holds it, or has just removed it
            return AppendOnlyFile(path, mode)
    raise AssertionError("there is always another name")
