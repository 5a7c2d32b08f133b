"""Query events of a JSONL file or a database."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from stream.errors import UsageError
from stream.events.schema import KNOWN, OF_AN_EVENT, RESTORED, UNKNOWN, EventDict, check_event, events, parse_event
from stream.results import EventType
from stream.storage.database import connect, database_error, database_file, masked_url, reader
from stream.storage.spool import read_spooled

TimeBound = datetime | float
"""A wall time with its zone, or seconds of media time."""

_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A filter of events; None matches all.

    `person` is a name, or "unknown" for events without one; `spellings` are further spellings of the name. Times t
    match if since <= t < until; an event without a wall time never matches a wall time. `known`: events with a name, or
    without; `restored`: events whose crop was restored, or not.
    """

    person: str | None = None
    camera: str | None = None
    since: TimeBound | None = None
    until: TimeBound | None = None
    type: EventType | None = None
    known: bool | None = None
    restored: bool | None = None
    spellings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for moment in (self.since, self.until):
            if isinstance(moment, datetime) and moment.tzinfo is None:
                raise UsageError(f"the time {moment} has no time zone; write it as {moment.isoformat()}+00:00")

    def wants(self, record: EventDict) -> bool:
        """Whether this event matches."""
        name = record["name"]
        return (
            (self.person is None or name in (self.person, *self.spellings) or (name is None and self.person == UNKNOWN))
            and self.camera in (None, record["camera"])
            and self.type in (None, record["type"])
            and self.known in (None, name is not None)
            and self.restored in (None, record["deblurred_by"] != "none")
            and (self.since is None or _seconds(record, self.since) >= _value(self.since))
            and (self.until is None or _seconds(record, self.until) < _value(self.until))
        )


def query(where: str, wanted: EventFilter | None = None) -> Iterator[EventDict]:
    """Yield the events of a JSONL file, or of a database at a URL, in the order of writing.

    An incomplete last line is skipped. The log is not changed. Raises UsageError if the log does not exist or a line is
    no event.
    """
    return (
        _from_database(where, wanted or EventFilter())
        if "://" in where
        else _from_file(Path(where), wanted or EventFilter())
    )


def file_of(where: str) -> Path | None:
    """The file of a log; None for a database server."""
    return database_file(connect(where)) if "://" in where else Path(where)


def _from_file(path: Path, wanted: EventFilter) -> Iterator[EventDict]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    record = parse_event(line, f"{path}, line {number}")
                    if wanted.wants(record):
                        yield record
    except OSError as error:
        raise UsageError(f"cannot read events from {path}: {error.strerror}") from error


def clocks(url: str) -> Iterator[tuple[str, str | None, object]]:
    """Yield id, wall time, and the stored wall time in seconds, of each event of a database. Raises UsageError."""
    for row in _rows(url, sql.select(events.c.id, events.c.wall_time, events.c.wall_s)):
        yield row.id, row.wall_time, row.wall_s


def _from_database(url: str, wanted: EventFilter) -> Iterator[EventDict]:
    """Yield the events of a database, with those spooled next to it."""
    place = masked_url(connect(url))
    spooled = _read_spool(url, wanted)  # first, because they may be stored during the query
    chosen = sql.select(*OF_AN_EVENT).where(*conditions(wanted))
    for row in _rows(url, chosen):
        record = check_event(dict(row._mapping), f"a row of {place}")
        spooled.pop(str(record["id"]), None)
        yield record
    yield from spooled.values()


def _read_spool(url: str, wanted: EventFilter) -> dict[str, EventDict]:
    file = database_file(connect(url))
    if file is None:
        return {}
    try:
        records = [parse_event(line, f"a line of {file}.waiting") for line in read_spooled(file)]
    except OSError as error:
        raise UsageError(f"cannot read events from {error.filename}: {error.strerror}") from error
    return {str(record["id"]): record for record in records if wanted.wants(record)}


def _rows(url: str, chosen: sql.Select[tuple[Any, ...]]) -> Iterator[sql.Row[tuple[Any, ...]]]:
    """Yield rows in the order of writing."""
    named = connect(url)
    engine, place = reader(named), masked_url(named)
    try:
        with engine.connect().execution_options(yield_per=_ROWS_AT_ONCE) as connection:
            yield from connection.execute(chosen.order_by(events.c.position))
    except (SQLAlchemyError, ValueError) as error:
        raise UsageError(f"cannot read events from {place}: {database_error(error)}") from error
    finally:
        engine.dispose()


def conditions(wanted: EventFilter) -> Iterator[sql.ColumnElement[bool]]:
    """The SQL conditions of `EventFilter.wants`."""
    if wanted.person is not None:
        nameless = events.c.name.is_(None) if wanted.person == UNKNOWN else sql.false()
        yield sql.or_(events.c.name.in_((wanted.person, *wanted.spellings)), nameless)
    if wanted.camera is not None:
        yield events.c.camera == wanted.camera
    if wanted.type is not None:
        yield events.c.type == wanted.type
    if wanted.known is not None:
        yield KNOWN if wanted.known else ~KNOWN
    if wanted.restored is not None:
        yield RESTORED if wanted.restored else ~RESTORED
    if wanted.since is not None:
        yield _clock(wanted.since) >= _value(wanted.since)
    if wanted.until is not None:
        yield _clock(wanted.until) < _value(wanted.until)


def _clock(moment: TimeBound) -> sql.Column[float]:
    return events.c.wall_s if isinstance(moment, datetime) else events.c.pts_s


def _value(moment: TimeBound) -> float:
    return moment.timestamp() if isinstance(moment, datetime) else moment


def _seconds(record: EventDict, like: TimeBound) -> float:
    """The record's time on the clock of `like`; NaN, which no comparison matches, if it has none."""
    if not isinstance(like, datetime):
        return float(str(record["pts_s"]))
    wall_time = record["wall_time"]
    return datetime.fromisoformat(str(wall_time)).timestamp() if wall_time else math.nan
