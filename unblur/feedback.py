"""Operators' feedback on events: the name is right, it is wrong, or the crop was added to a person."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sql
from pydantic import AwareDatetime, BaseModel

from stream.events.erasure import same_name

Verdict = Literal["right", "wrong", "added"]
"""The name is right; it is wrong; the crop was added to a person of the gallery."""
_HISTORY_LENGTH = 50
"""Entries returned of an event's history, the latest ones."""

_metadata = sql.MetaData()
_feedback = sql.Table(
    "feedback",
    _metadata,
    sql.Column("number", sql.Integer, primary_key=True, comment="the order of saying"),
    sql.Column("event", sql.String(255), nullable=False, comment="the event's id"),
    sql.Column("verdict", sql.String(16), nullable=False),
    sql.Column("person", sql.String(255), comment="who it is, where that was said"),
    sql.Column("who", sql.String(255), nullable=False, comment="who said it"),
    sql.Column("at_s", sql.Double, nullable=False, comment="seconds since 1970 UTC"),
    sql.Index("feedback_by_event", "event", "number"),
)


class FeedbackEntry(BaseModel):
    """Feedback of the user `who` on an event. `person` is the name that the user gave or confirmed; null means an
    unknown person if the verdict is right, and another, unnamed person if it is wrong."""

    verdict: Verdict
    person: str | None
    who: str
    when: AwareDatetime


class Feedback:
    """Table of feedback. The latest entry of an event counts, earlier ones are kept. Raises SQLAlchemyError if the
    database cannot be used."""

    def __init__(self, engine: sql.Engine) -> None:
        self._engine = engine
        _metadata.create_all(engine)

    def add(self, event: str, verdict: Verdict, person: str | None, who: str) -> None:
        """Add an entry with the current time."""
        now_s = datetime.now(UTC).timestamp()
        entry = {"event": event, "verdict": verdict, "person": person, "who": who, "at_s": now_s}
        with self._engine.begin() as connection:
            connection.execute(sql.insert(_feedback).values(entry))

    def latest(self, events: Sequence[str]) -> dict[str, FeedbackEntry]:
        """Return the latest entry of each of these events that has one, by the event's id."""
        last = sql.select(sql.func.max(_feedback.c.number)).where(_feedback.c.event.in_(events))
        chosen = sql.select(_feedback).where(_feedback.c.number.in_(last.group_by(_feedback.c.event)))
        with self._engine.connect() as connection:
            return {row.event: _to_entry(row) for row in connection.execute(chosen)}

    def history(self, event: str) -> list[FeedbackEntry]:
        """Return the entries of an event, the latest first."""
        chosen = sql.select(_feedback).where(_feedback.c.event == event).order_by(_feedback.c.number.desc())
        with self._engine.connect() as connection:
            return [_to_entry(row) for row in connection.execute(chosen.limit(_HISTORY_LENGTH))]

    def forget(self, events: Collection[object], names: Collection[str] = ()) -> int:
        """Delete the entries of these events, and those that contain one of the names; return their number."""
        entries = sql.select(_feedback.c.number, _feedback.c.event, _feedback.c.person)
        with self._engine.begin() as connection:
            gone = [
                {"gone": number}
                for number, event, named in connection.execute(entries)
                if event in events or (named and any(same_name(named, name) for name in names))
            ]
            if gone:
                connection.execute(sql.delete(_feedback).where(_feedback.c.number == sql.bindparam("gone")), gone)
        return len(gone)


def _to_entry(row: sql.Row[tuple[object, ...]]) -> FeedbackEntry:
    when = datetime.fromtimestamp(row.at_s, UTC)
    return FeedbackEntry(verdict=row.verdict, person=row.person, who=row.who, when=when)
