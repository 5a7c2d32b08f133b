"""The event store as people look through it: newest first, a page at a time, however much it holds."""

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
"""What `Cursor` is written like."""
MOST = 500
"""Events that are read at once."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: wall time in seconds since 1970, of an event that has one, and position in the store."""

    wall_s: float | None
    position: int

    def __str__(self) -> str:
        return f"{'' if self.wall_s is None else self.wall_s}_{self.position}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The place that `str` wrote. Raises ValueError."""
        if not re.fullmatch(PLACE, text):
            raise ValueError("this is no place in the event store")
        wall_s, _, position = text.partition("_")
        return cls(float(wall_s) if wall_s else None, int(position))


@dataclass(frozen=True, slots=True)
class EventBatch:
    """A page of events, and where the next one begins, if there is one."""

    records: list[EventDict]
    next: Cursor | None


class EventPager:
    """Reads an event store, from any thread. Newest are those with the latest wall time; events without one come last,
    the latest written first. A page goes on where another ended, whatever has been written meanwhile.

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
        """Page after page. Between them nothing is held, so that a reader who takes long hinders nobody."""
        leaf = self.page(wanted)
        yield leaf
        while leaf.next:
            leaf = self.page(wanted, leaf.next)
            yield leaf

    def find(self, event: str) -> EventDict | None:
        """The event of this id."""
        with self._engine.connect() as connection:
            row = connection.execute(_SELECTED.where(events.c.id == event)).first()
        return self._record(row) if row else None

    def latest(self) -> str | None:
        """The id of the event that was written last."""
        with self._engine.connect() as connection:
            found: str | None = connection.scalar(sql.select(events.c.id).order_by(events.c.position.desc()).limit(1))
            return found

    def names(self, most: int) -> list[str]:
        """Who was seen, by name."""
        return list(islice(self._values(events.c.name), most))

    def spellings(self, name: str) -> tuple[str, ...]:
        """Who was seen under this name in other capitals."""
        same = name.casefold()
        return tuple(each for each in self._values(events.c.name) if each.casefold() == same and each != name)

    def cameras(self, most: int) -> list[str]:
        """Where somebody was seen, by name."""
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
