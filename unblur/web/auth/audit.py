"""The audit log: which user did what, when. Stored in the database; shown on a page and over REST."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sql
from aiohttp import web
from pydantic import AwareDatetime, BaseModel, Field, ValidationError
from sqlalchemy.exc import OperationalError

from stream.storage.database import encode_surrogates, is_busy
from stream.storage.spool import EventSpool
from unblur.web.transport.access import require_role
from unblur.web.transport.openapi import Endpoint
from unblur.web.transport.rendering import render

MOST = 10_000
"""Entries kept at most."""
LONGEST_S = 365 * 24 * 3600.0
"""Entries older than this are deleted."""
_PAGE = 100
_LARGEST = 2**63 - 1
"""The largest integer that a database stores."""

_metadata = sql.MetaData()

_entries = sql.Table(
    "audit",
    _metadata,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("at_s", sql.Double, nullable=False),
    sql.Column("who", sql.String(64), nullable=False),
    sql.Column("what", sql.String(64), nullable=False),
    sql.Column("about", sql.String(300), nullable=False),
    sqlite_autoincrement=True,
)


class Entry(BaseModel):
    """An entry of the audit log: when `who` did `what`, and details in `about`."""

    number: int
    at: AwareDatetime
    who: str
    what: str
    about: str


class Entries(BaseModel):
    """A page of entries, newest first. `dropped` is the number of deleted older entries; `more` is the `before` of the
    next page, null on the last."""

    entries: list[Entry]
    dropped: int
    more: int | None = None


class AuditQuery(BaseModel):
    """Query for entries: older than number `before`, at most `limit`."""

    before: int = Field(_LARGEST, ge=1, le=_LARGEST)
    limit: int = Field(_PAGE, ge=1, le=1000)


class Audit:
    """The audit log, and its page for operators. Keeps the newest `MOST` entries, for a year; their numbers show how
    many were deleted. `clock` returns seconds since 1970 UTC."""

    name = "audit"
    path = None

    def __init__(self, engine: sql.Engine, clock: Callable[[], float] = time.time) -> None:
        _metadata.create_all(engine)
        self._engine, self._clock = engine, clock
        self._lock = threading.Lock()
        self._spool = EventSpool(Path(str(engine.url.database)))

    def note(self, who: str, what: str, about: str) -> None:
        """Record that `who` did `what`, with details `about`. On disk when it returns: while another program holds the
        database locked, entries are spooled to a file next to it, so that none is lost. Blocks."""
        row = {
            "at_s": self._clock(),
            "who": _truncate(who, 64),
            "what": _truncate(what, 64),
            "about": _truncate(about, 300),
        }
        with self._lock:
            if not self._flush([row]):
                self._spool.append(f"{json.dumps(row)}\n".encode())

    def _flush(self, rows: Sequence[Mapping[str, object]]) -> bool:
        """Write the spooled entries, then `rows`; False if the database is locked."""
        lines = self._spool.first(MOST)
        try:
            self._write([*map(json.loads, lines), *rows])
        except OperationalError as error:
            if is_busy(error):
                return False
            raise
        self._spool.remove(lines)
        return True

    def _write(self, rows: Sequence[Mapping[str, object]]) -> None:
        newest = sql.select(sql.func.max(_entries.c.number)).scalar_subquery()
        old = sql.or_(_entries.c.number <= newest - MOST, _entries.c.at_s < self._clock() - LONGEST_S)
        with self._engine.begin() as connection:
            connection.execute(sql.insert(_entries), list(rows))
            connection.execute(sql.delete(_entries).where(old))

    def entries(self, wanted: AuditQuery) -> Entries:
        """The entries that `wanted` selects. Blocks."""
        with self._lock:
            if self._spool:
                self._flush([])
        reading = sql.select(_entries).where(_entries.c.number < wanted.before).order_by(_entries.c.number.desc())
        counting = sql.select(sql.func.coalesce(sql.func.max(_entries.c.number) - sql.func.count(), 0))
        with self._engine.connect() as connection:
            rows = connection.execute(reading.limit(wanted.limit + 1)).all()
            dropped = connection.scalar(counting) or 0
        shown = [_to_entry(row) for row in rows[: wanted.limit]]
        return Entries(entries=shown, dropped=dropped, more=shown[-1].number if len(rows) > wanted.limit else None)

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get("/audit", self._page)]

    def operations(self) -> list[Endpoint]:
        return [
            Endpoint("GET", "/audit", "Who did what, the newest first", self._list, AuditQuery, Entries, "operator")
        ]

    async def _list(self, _: web.Request, wanted: AuditQuery) -> Entries:
        return await asyncio.to_thread(self.entries, wanted)

    async def _page(self, request: web.Request) -> web.Response:
        require_role(request, "operator")
        try:
            wanted = AuditQuery.model_validate({"before": request.query.get("before", _LARGEST)})
        except ValidationError as error:
            raise web.HTTPBadRequest(text="before is the number of an entry") from error
        return render(request, "audit", log=await asyncio.to_thread(self.entries, wanted))


def _truncate(text: str, letters: int) -> str:
    return str(encode_surrogates(text))[:letters]


def _to_entry(row: sql.Row[tuple[object, ...]]) -> Entry:
    at = datetime.fromtimestamp(row.at_s, UTC)
    return Entry(number=row.number, at=at, who=row.who, what=row.what, about=row.about)
