"""Search of events: request and response models, and the search over events and feedback."""

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

_FEEDBACK_COLUMNS = ("feedback", "feedback_person", "feedback_who", "feedback_when")
"""Columns in addition to an event's."""


def _to_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("the calendar does not reach there") from error


Time = Annotated[datetime, AfterValidator(_to_utc)]
"""A time; UTC where no zone is given, e.g. by a form without scripts."""


class EventQuery(BaseModel):
    """Filter of events. `person` is a name, case-insensitive, or "unknown"; `until` is exclusive."""

    person: str | None = None
    known: bool | None = None
    camera: str | None = None
    since: Time | None = None
    until: Time | None = None
    restored: bool | None = None
    type: EventType | None = None

    def filter(self) -> EventFilter:
        """The filter for the event store."""
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


class Search(EventQuery):
    """Request for a page of events: `before` is the `next` of the previous page."""

    before: str | None = Field(None, pattern=PLACE)
    limit: int = Field(50, ge=1, le=MOST)


def parse_search(given: Mapping[str, str]) -> tuple[Search, Sequence[str]]:
    """Parse a search form: the search by its valid fields, and the names of the invalid ones ("order": the times are
    in the wrong order)."""
    try:
        search = Search.model_validate(given)
    except ValidationError as error:
        wrong = {str(fault["loc"][0]) for fault in error.errors()}
        return Search.model_validate({name: value for name, value in given.items() if name not in wrong}), sorted(wrong)
    backwards = search.since and search.until and search.since > search.until
    return search, ["order"] if backwards else []


class Sighting(EventRecord):
    """An event of the log, and the latest feedback on it."""

    feedback: FeedbackEntry | None


class Found(BaseModel):
    """A page of events, newest first. `next` requests the following page; null on the last."""

    events: list[Sighting]
    next: str | None


class Detail(Sighting):
    """An event with all feedback on it, latest first."""

    history: list[FeedbackEntry]


class EventSearch:
    """Searches the event store and joins the feedback. Blocks while it reads."""

    def __init__(self, archive: EventPager, feedback: Feedback) -> None:
        self._archive, self._feedback = archive, feedback

    def find_page(self, search: Search) -> Found:
        """The page of events that `search` requests."""
        after = Cursor.parse(search.before) if search.before else None
        page = self._archive.page(self._filter(search), after, search.limit)
        events = [Sighting.model_validate(record) for record in self._add_feedback(page.records)]
        return Found(events=events, next=str(page.next) if page.next else None)

    def find(self, event: str) -> Detail | None:
        """The event with this id, or None."""
        record = self._archive.find(event)
        if record is None:
            return None
        history = self._feedback.history(event)
        return Detail.model_validate(record | {"feedback": history[0] if history else None, "history": history})

    def export_json(self, wanted: EventQuery) -> Iterator[str]:
        """Yield all selected events as JSON lines, in parts."""
        for page in self._archive.all(self._filter(wanted)):
            lines = io.StringIO()
            write_json(map(_to_json, self._add_feedback(page.records)), lines)
            yield lines.getvalue()

    def export_csv(self, wanted: EventQuery) -> Iterator[str]:
        """Yield all selected events as CSV, in parts."""
        for number, page in enumerate(self._archive.all(self._filter(wanted))):
            lines = io.StringIO(newline="")
            write_csv(map(_to_row, self._add_feedback(page.records)), lines, more=_FEEDBACK_COLUMNS, header=number == 0)
            yield lines.getvalue()

    def _filter(self, wanted: EventQuery) -> EventFilter:
        """The filter, with every spelling of the name: the case of letters is ignored."""
        selected = wanted.filter()
        return replace(selected, spellings=self._archive.spellings(selected.person)) if selected.person else selected

    def _add_feedback(self, records: Sequence[EventDict]) -> Iterator[EventDict]:
        """Add the latest feedback to the events."""
        feedback = self._feedback.latest([str(record["id"]) for record in records])
        for record in records:
            yield record | {"feedback": feedback.get(str(record["id"]))}


def _to_json(record: EventDict) -> EventDict:
    """Convert the feedback for JSON."""
    entry = record["feedback"]
    return record | {"feedback": entry.model_dump(mode="json") if isinstance(entry, FeedbackEntry) else None}


def _to_row(record: EventDict) -> EventDict:
    """Flatten the feedback into columns."""
    entry = record["feedback"]
    feedback = (
        entry.model_dump(mode="json").values() if isinstance(entry, FeedbackEntry) else [None] * len(_FEEDBACK_COLUMNS)
    )
    return record | dict(zip(_FEEDBACK_COLUMNS, feedback, strict=True))
