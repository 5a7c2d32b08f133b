"""`unblur events`: the log as a table, as JSON lines or as CSV."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from stream.errors import OutputError, StorageError, UsageError
from stream.events.query import Filter, Moment, Record, file_of, query, write_csv, write_json
from stream.values import EventType
from unblur.terminal import json_encoder, row, standard_output

_WIDTHS = {"time": 24, "camera": 12, "track": 5, "event": 6, "who": 24, "score": 7, "raw": 7, "restored": 8, "by": 0}
"""The table's columns, in cells of a terminal."""


def wanted(
    person: str | None, camera: str | None, since: str | None, until: str | None, kind: EventType | None
) -> Filter:
    """What the options ask for; a name is found however its accents are encoded, by whoever typed or logged it. Raises
    UsageError for a time that is none."""
    spellings = tuple(unicodedata.normalize(form, person) for form in ("NFC", "NFD")) if person else ()
    return Filter(person, camera, _moment(since), _moment(until), kind, spellings=spellings)


def show(log: str, filter: Filter) -> None:
    """Print a table of events, each as it is read."""
    events = query(log, filter)
    first = list(islice(events, 1))  # before the headings, for a log that cannot be read has none
    with standard_output() as stream:
        stream.write(f"{row(_WIDTHS, _WIDTHS.values())}\n")
        for event in chain(first, events):
            stream.write(f"{row(_cells(event), _WIDTHS.values())}\n")


def _cells(event: Record) -> list[object]:
    moment = event["wall_time"] or f"{event['pts_s']:.2f} s"
    restored = "" if event["restored_score"] is None else event["restored_score"]
    who = event["name"] or "unknown"
    scores = [event["score"], event["raw_score"], restored]
    return [moment, event["camera"], event["track"], event["type"], who, *scores, event["deblurred_by"]]


def export(log: str, filter: Filter, format: str, out: Path | None) -> None:
    """Write the events to a file, whole or not at all, or to standard output.

    Raises OutputError where the file cannot be opened, StorageError where the disk refuses while writing, UsageError
    where the file is the log itself.
    """
    if out is not None:
        _require_another_file(log, out)
        with _opened(out) as stream:
            (write_csv if format == "csv" else write_json)(query(log, filter), stream)
    elif format == "csv":
        with standard_output() as stream:
            write_csv(query(log, filter), stream)
    else:
        _print_json(query(log, filter))


def _print_json(events: Iterable[Record]) -> None:
    with standard_output() as stream:
        fit = json_encoder(stream)
        for event in events:
            stream.write(f"{fit(event)}\n")


@contextmanager
def _opened(out: Path) -> Iterator[TextIO]:
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
