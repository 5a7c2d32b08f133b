"""Searching the events: what may be asked, and what is found, with the feedback on it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from stream.events.export import write_csv, write_json
from stream.events.pagination import MOST, PLACE, Cursor, EventPager
from stream.events.query import EventFilter
from stream.events.schema import UNKNOWN, EventDict, EventRecord
from stream.results import EventType
from unblur.feedback import Feedback, FeedbackEntry

_SAID = ("feedback", "feedback_person", "feedback_who", "feedback_when")
"""Columns beyond an event's."""


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("the calendar does not reach there") from error


Time = Annotated[datetime, AfterValidator(_in_utc)]
"""UTC where no zone is given, as by a form without scripts."""


class Wanted(BaseModel):
    """Which events are wanted. `person` is a name, in any capitals, or "unknown"; `until` is past the last."""

    person: str | None = None
    known: bool | None = None
    camera: str | None = None
    since: Time | None = None
    until: Time | None = None
    restored: bool | None = None
    type: EventType | None = None

    def filter(self) -> EventFilter:
        """As the event store is asked."""
        unknown = (self.person or "").casefold() == UNKNOWN and self.known is None
        return EventFilter(
            person=None if unknown else self.person,
            camera=self.camera,
            since=self.since,
            until=self.until,
            type=self.type,
            known=False if unknown else self.known,
            restored=self.restored,
        )


class Search(Wanted):
    """A page of them: `before` is the `next` of the page before it."""

    before: str | None = Field(None, pattern=PLACE)
    limit: int = Field(50, ge=1, le=MOST)


def parse_search(given: Mapping[str, str]) -> tuple[Search, Sequence[str]]:
    """What of a form can be searched for, and what is wrong with the rest: names of fields, or "order" of the times."""
    try:
        search = Search.model_validate(given)
    except ValidationError as error:
        wrong = {str(fault["loc"][0]) for fault in error.errors()}
        return Search.model_validate({name: value for name, value in given.items() if name not in wrong}), sorted(wrong)
    backwards = search.since and search.until and search.since > search.until
    return search, ["order"] if backwards else []


class Sighting(EventRecord):
    """An event as it stands in the log, and what was said of it last."""

    feedback: FeedbackEntry | None


class Found(BaseModel):
    """A page of events, the newest first. `next` asks for the one after it; null is the end."""

    events: list[Sighting]
    next: str | None


class Detail(Sighting):
    """An event with everything that was said of it, the latest first."""

    history: list[FeedbackEntry]


class EventSearch:
    """Looks through the event store and the feedback together. Blocks while it reads."""

    def __init__(self, archive: EventPager, feedback: Feedback) -> None:
        self._archive, self._feedback = archive, feedback

    def page(self, search: Search) -> Found:
        """What is asked for."""
        after = Cursor.parse(search.before) if search.before else None
        leaf = self._archive.page(self._filter(search), after, search.limit)
        events = [Sighting.model_validate(record) for record in self._told(leaf.records)]
        return Found(events=events, next=str(leaf.next) if leaf.next else None)

    def one(self, event: str) -> Detail | None:
        """The event of this id."""
        record = self._archive.find(event)
        if record is None:
            return None
        history = self._feedback.history(event)
        return Detail.model_validate(record | {"feedback": history[0] if history else None, "history": history})

    def json(self, wanted: Wanted) -> Iterator[str]:
        """All events as JSON lines, some at a time."""
        for leaf in self._archive.all(self._filter(wanted)):
            lines = io.StringIO()
            write_json(map(_plain, self._told(leaf.records)), lines)
            yield lines.getvalue()

    def csv(self, wanted: Wanted) -> Iterator[str]:
        """All events as CSV, some at a time."""
        for number, leaf in enumerate(self._archive.all(self._filter(wanted))):
            lines = io.StringIO(newline="")
            write_csv(map(_flat, self._told(leaf.records)), lines, more=_SAID, header=number == 0)
            yield lines.getvalue()

    def _filter(self, wanted: Wanted) -> EventFilter:
        """Capitals make no other name: people write them as they please."""
        chosen = wanted.filter()
        return replace(chosen, spellings=self._archive.spellings(chosen.person)) if chosen.person else chosen

    def _told(self, records: Sequence[EventDict]) -> Iterator[EventDict]:
        """The events with what was said of them."""
        said = self._feedback.latest([str(record["id"]) for record in records])
        for record in records:
            yield record | {"feedback": said.get(str(record["id"]))}


def _plain(record: EventDict) -> EventDict:
    """Ready for JSON."""
    opinion = record["feedback"]
    return record | {"feedback": opinion.model_dump(mode="json") if isinstance(opinion, FeedbackEntry) else None}


def _flat(record: EventDict) -> EventDict:
    """With one value a column."""
    opinion = record["feedback"]
    said = opinion.model_dump(mode="json").values() if isinstance(opinion, FeedbackEntry) else [None] * len(_SAID)
    return record | dict(zip(_SAID, said, strict=True))
