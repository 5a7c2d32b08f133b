"""`unblur events`: the log as a table, as JSON lines or as CSV."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.data import EventType
from stream.errors import OutputError, UsageError
from stream.history import Filter, Moment, query, write_csv, write_json

_WIDTH = 200
"""Characters a line where the table goes into a file or another program."""


def wanted(
    person: str | None, camera: str | None, since: str | None, until: str | None, kind: EventType | None
) -> Filter:
    """What the options ask for. Raises UsageError for a time that is none."""
    return Filter(person, camera, _moment(since), _moment(until), kind)


def show(log: str, filter: Filter) -> None:
    """Print a table of events."""
    table = Table(box=None, pad_edge=False)
    for heading in ("time", "camera", "track", "event", "who", "score", "raw", "restored", "by"):
        table.add_column(heading, overflow="fold")
    for event in query(log, filter):
        moment = event["wall_time"] or f"{event['pts_s']:.2f} s"
        cells = [moment, event["camera"], event["track"], event["type"], event["name"] or "unknown", event["score"]]
        cells += [event["raw_score"], "" if event["restored_score"] is None else event["restored_score"]]
        table.add_row(*(Text(str(cell)) for cell in [*cells, event["deblurred_by"]]))
    Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH).print(table)


def export(log: str, filter: Filter, format: str, out: Path | None) -> None:
    """Write the events to a file, whole or not at all, or to standard output."""
    write = write_csv if format == "csv" else write_json
    with _opened(out) as stream:
        write(query(log, filter), stream)


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    partial = out.with_name(f"{out.name}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _moment(text: str | None) -> Moment | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time: write 2026-01-31T18:00:00Z, or seconds of media time") from error
