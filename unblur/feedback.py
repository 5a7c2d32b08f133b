"""What operators say of events: that the name is right, that it is somebody else, or who it is, from now on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sql
from pydantic import AwareDatetime, BaseModel

from stream.events.erasure import same_name

Verdict = Literal["right", "wrong", "added"]
"""The name is right; it is somebody else; the crop was added to a person of the gallery."""
_SHOWN = 50
"""Of an event's history: the latest."""

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
    """What `who` said of an event. `person` is who it is, as far as that was said: null is nobody known where the
    verdict is right, and somebody unnamed where it is wrong."""

    verdict: Verdict
    person: str | None
    who: str
    when: AwareDatetime


class Feedback:
    """The latest word on an event counts; what was said before is kept. Raises SQLAlchemyError if the database cannot
    be used."""

    def __init__(self, engine: sql.Engine) -> None:
        self._engine = engine
        _metadata.create_all(engine)

    def add(self, event: str, verdict: Verdict, person: str | None, who: str) -> None:
        """Write it down."""
        said = {"event": event, "verdict": verdict, "person": person, "who": who, "at_s": datetime.now(UTC).timestamp()}
        with self._engine.begin() as connection:
            connection.execute(sql.insert(_feedback).values(said))

    def latest(self, events: Sequence[str]) -> dict[str, FeedbackEntry]:
        """What counts, by the event's id; of most events nothing was said."""
        last = sql.select(sql.func.max(_feedback.c.number)).where(_feedback.c.event.in_(events))
        chosen = sql.select(_feedback).where(_feedback.c.number.in_(last.group_by(_feedback.c.event)))
        with self._engine.connect() as connection:
            return {row.event: _opinion(row) for row in connection.execute(chosen)}

    def history(self, event: str) -> list[FeedbackEntry]:
        """What was said of an event, the latest first."""
        chosen = sql.select(_feedback).where(_feedback.c.event == event).order_by(_feedback.c.number.desc())
        with self._engine.connect() as connection:
            return [_opinion(row) for row in connection.execute(chosen.limit(_SHOWN))]

    def forget(self, events: Collection[object], names: Collection[str] = ()) -> int:
        """Lose what was said of these events, and whatever bears one of the names; how much that was."""
        said = sql.select(_feedback.c.number, _feedback.c.event, _feedback.c.person)
        with self._engine.begin() as connection:
            gone = [
                {"gone": number}
                for number, event, named in connection.execute(said)
                if event in events or (named and any(same_name(named, name) for name in names))
            ]
            if gone:
                connection.execute(sql.delete(_feedback).where(_feedback.c.number == sql.bindparam("gone")), gone)
        return len(gone)


def _opinion(row: sql.Row[tuple[object, ...]]) -> FeedbackEntry:
    when = datetime.fromtimestamp(row.at_s, UTC)
    return FeedbackEntry(verdict=row.verdict, person=row.person, who=row.who, when=when)
