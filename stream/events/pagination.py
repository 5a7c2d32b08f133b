"""Pagination of the event store: newest events first, one page at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import sqlalchemy as sql

from stream.events.query import EventFilter, conditions
from stream.events.schema import OF_AN_EVENT, EventDict, check_event, events
from stream.storage.database import connect, masked_url, reader

PLACE = r"^(-?[0-9]{1,12}(\.[0-9]{1,9})?)?_[0-9]{1,18}$"
"""The format of a `Cursor` as text."""
MOST = 500
"""Maximum number of events of a page."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The end of a page: wall time of its last event in seconds since 1970, if it has one, and its position."""

    wall_s: float | None
    position: int

    def __str__(self) -> str:
        return f"{'' if self.wall_s is None else self.wall_s}_{self.position}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Parse the text of `str`. Raises ValueError."""
        if not re.fullmatch(PLACE, text):
            raise ValueError("this is no place in the event store")
        wall_s, _, position = text.partition("_")
        return cls(float(wall_s) if wall_s else None, int(position))


@dataclass(frozen=True, slots=True)
class EventBatch:
    """A page of events, and the cursor of the next page, if there is one."""

    records: list[EventDict]
    next: Cursor | None


class EventPager:
    """Reads an event store, from any thread. Newest are those with the latest wall time; events without one come last,
    the latest written first. A page continues where another ended, whatever has been written meanwhile.

    Raises UsageError where there is no such store; SQLAlchemyError if it cannot be read later.
    """

    def __init__(self, url: str) -> None:
        self._engine = reader(connect(url))

    def page(self, wanted: EventFilter, after: Cursor | None = None, most: int = MOST) -> EventBatch:
        """At most `most` events, from the newest, or from those `after` a place."""
        rows: list[sql.Row[tuple[object, ...]]] = []
        with self._engine.connect() as connection:
            for part in _parts(wanted, after):
                rows += connection.execute(part.limit(most + 1 - len(rows))).all()
        last = rows[most - 1] if len(rows) > most else None
        return EventBatch([self._record(row) for row in rows[:most]], last and Cursor(last.wall_s, last.position))

    def all(self, wanted: EventFilter) -> Iterator[EventBatch]:
        """Page after page. Between pages no lock is held, so that a slow reader does not block others."""
        batch = self.page(wanted)
        yield batch
        while batch.next:
            batch = self.page(wanted, batch.next)
            yield batch

    def find(self, event: str) -> EventDict | None:
        """The event of this id."""
        with self._engine.connect() as connection:
            row = connection.execute(_SELECTED.where(events.c.id == event)).first()
        return self._record(row) if row else None

    def latest(self) -> str | None:
        """The id of the event that was written last."""
        with self._engine.connect() as connection:
            latest: str | None = connection.scalar(sql.select(events.c.id).order_by(events.c.position.desc()).limit(1))
            return latest

    def names(self, most: int) -> list[str]:
        """The names of people with events, sorted."""
        return list(islice(self._values(events.c.name), most))

    def spellings(self, name: str) -> tuple[str, ...]:
        """Names with events that differ from this name in capitals only."""
        same = name.casefold()
        return tuple(each for each in self._values(events.c.name) if each.casefold() == same and each != name)

    def cameras(self, most: int) -> list[str]:
        """The cameras with events, sorted."""
        return list(islice(self._values(events.c.camera), most))

    def close(self) -> None:
        self._engine.dispose()

    def _values(self, column: sql.Column[str]) -> Iterator[str]:
        """Each is one step down the column's index, however many events there are; DISTINCT would read them all."""
        least = sql.select(sql.func.min(column))
        with self._engine.connect() as connection:
            value = connection.scalar(least)
            while value is not None:
                yield value
                value = connection.scalar(least.where(column > value))

    def _record(self, row: sql.Row[tuple[object, ...]]) -> EventDict:
        return check_event(
            {column.name: row._mapping[column] for column in OF_AN_EVENT}, f"a row of {masked_url(self._engine)}"
        )


_SELECTED = sql.select(events.c.wall_s, events.c.position, *OF_AN_EVENT)


def _parts(wanted: EventFilter, after: Cursor | None) -> Iterator[sql.Select[tuple[object, ...]]]:
    """The events with a wall time, and then those without, each in the order of an index."""
    chosen = _SELECTED.where(*conditions(wanted))
    age = sql.tuple_(events.c.wall_s, events.c.position)
    dated = chosen.where(events.c.wall_s.is_not(None)).order_by(events.c.wall_s.desc(), events.c.position.desc())
    undated = chosen.where(events.c.wall_s.is_(None)).order_by(events.c.position.desc())
    if after is None:
        yield dated
    elif after.wall_s is not None:
        yield dated.where(age < sql.tuple_(after.wall_s, after.position))
    else:
        undated = undated.where(events.c.position < after.position)
    if not any(isinstance(moment, datetime) for moment in (wanted.since, wanted.until)):
        yield undated
