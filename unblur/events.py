"""`unblur events`: the log as a table, as JSON lines or as CSV."""

from __future__ import annotations

import math
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from rich.cells import cell_len

from stream.data import EventType
from stream.errors import OutputError, StorageError, UsageError
from stream.history import Filter, Moment, Record, file_of, query, write_csv, write_json

_WIDTHS = {"time": 24, "camera": 12, "track": 5, "event": 6, "who": 24, "score": 7, "raw": 7, "restored": 8, "by": 0}
"""The table's columns, in cells of a terminal. What is longer pushes the rest of its line to the right."""
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}


def wanted(
    person: str | None, camera: str | None, since: str | None, until: str | None, kind: EventType | None
) -> Filter:
    """What the options ask for. Raises UsageError for a time that is none."""
    return Filter(person, camera, _moment(since), _moment(until), kind)


def show(log: str, filter: Filter) -> None:
    """Print a table of events, each as it is read."""
    events = query(log, filter)
    first = list(islice(events, 1))  # before the headings, for a log that cannot be read has none
    with _standard_output() as stream:
        stream.write(_line(list(_WIDTHS)))
        for event in chain(first, events):
            stream.write(_line(_cells(event)))


def _cells(event: Record) -> list[object]:
    moment = event["wall_time"] or f"{event['pts_s']:.2f} s"
    restored = "" if event["restored_score"] is None else event["restored_score"]
    who = event["name"] or "unknown"
    scores = [event["score"], event["raw_score"], restored]
    return [moment, event["camera"], event["track"], event["type"], who, *scores, event["deblurred_by"]]


def _line(cells: list[object]) -> str:
    texts = map(_printable, map(str, cells))
    padded = (text + " " * (width - cell_len(text)) for text, width in zip(texts, _WIDTHS.values(), strict=True))
    return f"{'  '.join(padded)}\n"


def _printable(text: str) -> str:
    """A name may hold anything, and none may break a line or steer the terminal: control characters are escaped."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _UNPRINTABLE else char for char in text
    )


def export(log: str, filter: Filter, format: str, out: Path | None) -> None:
    """Write the events to a file, whole or not at all, or to standard output.

    Raises OutputError where the file cannot be opened, StorageError where the disk refuses while writing, UsageError
    where the file is the log itself.
    """
    write = write_csv if format == "csv" else write_json
    if out is not None:
        _require_another_file(log, out)
    with _opened(out) as stream:
        write(query(log, filter), stream)


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        with _standard_output() as stream:
            yield stream
        return
    partial = _partial(out)
    try:
        file = partial.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}; choose a folder that can be written") from error
    try:
        with file:
            yield file
        partial.replace(out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}; make room and try again") from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _standard_output() -> Iterator[TextIO]:
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        _forget_the_rest()
        if not isinstance(error, BrokenPipeError):  # whoever reads has had enough, as `head` does
            raise StorageError(f"cannot write to standard output: {error.strerror}; make room and try again") from error


def _forget_the_rest() -> None:
    """Python would try to write it again on leaving, and complain (docs.python.org/3/library/signal.html)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _require_another_file(log: str, out: Path) -> None:
    source = file_of(log)
    if out.exists() and not out.is_file():
        raise OutputError(f"cannot write {out}: it is not a plain file")
    for target in (out, _partial(out)):
        if source and source.exists() and target.exists() and target.samefile(source):
            raise UsageError(f"cannot write {out}: it would overwrite the log {source}; name another file")


def _partial(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")


def _moment(text: str | None) -> Moment | None:
    if text is None:
        return None
    with suppress(ValueError):
        if math.isfinite(seconds := float(text)):
            return seconds
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time: write 2026-01-31T18:00:00Z, or seconds of media time") from error
