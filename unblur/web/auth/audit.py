"""Who did what."""

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
"""Entries that are kept,"""
LONGEST_S = 365 * 24 * 3600.0
"""and for how long."""
_PAGE = 100
_LARGEST = 2**63 - 1
"""What a database takes as an integer."""

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
    """Somebody did something."""

    number: int
    at: AwareDatetime
    who: str
    what: str
    about: str


class Entries(BaseModel):
    """The newest first. `dropped` older ones are kept no more; `more` is the `before` of the next page, if there is
    one."""

    entries: list[Entry]
    dropped: int
    more: int | None = None


class Wanted(BaseModel):
    """Entries older than number `before`, at most `limit`."""

    before: int = Field(_LARGEST, ge=1, le=_LARGEST)
    limit: int = Field(_PAGE, ge=1, le=1000)


class Audit:
    """The audit log, and its page for operators. It keeps the newest `MOST` entries, for a year; as they are numbered,
    it knows how many there were. `clock` tells seconds since 1970 UTC."""

    name = "audit"
    path = None

    def __init__(self, engine: sql.Engine, clock: Callable[[], float] = time.time) -> None:
        _metadata.create_all(engine)
        self._engine, self._clock = engine, clock
        self._lock = threading.Lock()
        self._waiting = EventSpool(Path(str(engine.url.database)))

    def note(self, who: str, what: str, about: str) -> None:
        """Write down that `who` did `what` with, or to, `about`. On disk when it returns: while another program holds
        the database locked, entries wait beside it, for what was done must not go unnoted. Blocks."""
        row = {"at_s": self._clock(), "who": _short(who, 64), "what": _short(what, 64), "about": _short(about, 300)}
        with self._lock:
            if not self._written([row]):
                self._waiting.append(f"{json.dumps(row)}\n".encode())

    def _written(self, rows: Sequence[Mapping[str, object]]) -> bool:
        """Write what waits, and then `rows`; False where the database is locked."""
        lines = self._waiting.first(MOST)
        try:
            self._write([*map(json.loads, lines), *rows])
        except OperationalError as error:
            if is_busy(error):
                return False
            raise
        self._waiting.remove(lines)
        return True

    def _write(self, rows: Sequence[Mapping[str, object]]) -> None:
        newest = sql.select(sql.func.max(_entries.c.number)).scalar_subquery()
        old = sql.or_(_entries.c.number <= newest - MOST, _entries.c.at_s < self._clock() - LONGEST_S)
        with self._engine.begin() as connection:
            connection.execute(sql.insert(_entries), list(rows))
            connection.execute(sql.delete(_entries).where(old))

    def entries(self, wanted: Wanted) -> Entries:
        """Blocks."""
        with self._lock:
            if self._waiting:
                self._written([])
        reading = sql.select(_entries).where(_entries.c.number < wanted.before).order_by(_entries.c.number.desc())
        counting = sql.select(sql.func.coalesce(sql.func.max(_entries.c.number) - sql.func.count(), 0))
        with self._engine.connect() as connection:
            rows = connection.execute(reading.limit(wanted.limit + 1)).all()
            dropped = connection.scalar(counting) or 0
        shown = [_entry(row) for row in rows[: wanted.limit]]
        return Entries(entries=shown, dropped=dropped, more=shown[-1].number if len(rows) > wanted.limit else None)

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get("/audit", self._page)]

    def operations(self) -> list[Endpoint]:
        return [Endpoint("GET", "/audit", "Who did what, the newest first", self._listed, Wanted, Entries, "operator")]

    async def _listed(self, _: web.Request, wanted: Wanted) -> Entries:
        return await asyncio.to_thread(self.entries, wanted)

    async def _page(self, request: web.Request) -> web.Response:
        require_role(request, "operator")
        try:
            wanted = Wanted.model_validate({"before": request.query.get("before", _LARGEST)})
        except ValidationError as error:
            raise web.HTTPBadRequest(text="before is the number of an entry") from error
        return render(request, "audit", log=await asyncio.to_thread(self.entries, wanted))


def _short(text: str, letters: int) -> str:
    return str(encode_surrogates(text))[:letters]


def _entry(row: sql.Row[tuple[object, ...]]) -> Entry:
    at = datetime.fromtimestamp(row.at_s, UTC)
    return Entry(number=row.number, at=at, who=row.who, what=row.what, about=row.about)
