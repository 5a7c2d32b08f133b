"""The schema of events: keys and types of a log entry, and the columns of the table."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

import sqlalchemy as sql
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from stream.errors import UsageError
from stream.results import EventType
from stream.values import Method

_metadata = sql.MetaData()

events = sql.Table(
    "events",
    _metadata,
    sql.Column("position", sql.Integer, primary_key=True, comment="the order of writing"),
    sql.Column("schema", sql.Integer, nullable=False),
    sql.Column("id", sql.String(255), nullable=False, unique=True),
    sql.Column("type", sql.String(16), nullable=False),
    sql.Column("camera", sql.String(255), nullable=False),
    sql.Column("track", sql.Integer, nullable=False),
    sql.Column("name", sql.String(255)),
    sql.Column("score", sql.Double, nullable=False),
    sql.Column("threshold", sql.Double, nullable=False),
    sql.Column("runner_up", sql.JSON(none_as_null=True)),
    sql.Column("raw_score", sql.Double, nullable=False),
    sql.Column("restored_score", sql.Double),
    sql.Column("deblurred_by", sql.String(32), nullable=False),
    sql.Column("blur", sql.Double, nullable=False),
    sql.Column("pts_s", sql.Double, nullable=False),
    sql.Column("frame", sql.BigInteger, nullable=False),
    sql.Column("wall_time", sql.String(40)),
    sql.Column("box", sql.JSON, nullable=False),
    sql.Column("first_pts_s", sql.Double, nullable=False),
    sql.Column("evidence", sql.Text),
    sql.Column("wall_s", sql.Double, comment="wall_time in seconds since 1970 UTC, for comparing"),
    sql.Index("events_by_person", "name", "wall_s"),
    sql.Index("events_by_camera", "camera", "wall_s"),
    sql.Index("events_by_wall_time", "wall_s"),
    sql.Index("events_by_media_time", "pts_s"),
)
"""The keys of an event as columns, with the same names and order."""

KNOWN = events.c.name.is_not(None)

RESTORED = events.c.deblurred_by != sql.literal_column("'none'")
"""A literal, because a partial index needs the same text in the query (sqlite.org/partialindex.html)."""

OF_AN_EVENT = [column for column in events.columns if column.name not in ("position", "wall_s")]


EventDict = dict[str, object]
"""An event as `Event.to_json` gives it."""

UNKNOWN = "unknown"


def _require_zone(time: str) -> str:
    if datetime.fromisoformat(time).tzinfo is None:
        raise ValueError("a time needs a time zone")
    return time


class _Candidate(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    score: FiniteFloat


class EventRecord(BaseModel):
    """The keys and types of an event, as `Event.to_json` has them."""

    model_config = ConfigDict(strict=True, serialize_by_alias=True)

    schema_: int = Field(alias="schema")
    id: str
    type: EventType
    camera: str
    track: int
    name: str | None
    score: FiniteFloat
    threshold: FiniteFloat
    runner_up: _Candidate | None
    raw_score: FiniteFloat
    restored_score: FiniteFloat | None
    deblurred_by: Method
    blur: FiniteFloat
    pts_s: FiniteFloat
    frame: int
    wall_time: Annotated[str, AfterValidator(_require_zone)] | None
    box: Annotated[list[int], Field(min_length=4, max_length=4)]
    first_pts_s: FiniteFloat
    evidence: str | None


def parse_event(line: bytes, place: str) -> EventDict:
    """Parse the event in a line of a log. Raises UsageError, with `place`, if it is none."""
    try:
        return check_event(json.loads(line), place)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place} is not JSON: {error}") from error


def check_event(record: object, place: str) -> EventDict:
    """Validate a record as an event. Raises UsageError, with `place`, if it is none."""
    try:
        return EventRecord.model_validate(record).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        wrong = f": {'.'.join(map(str, first['loc']))}: {first['msg']}" if first["loc"] else ""
        raise UsageError(f"{place} is no event of unblur{wrong}") from error
