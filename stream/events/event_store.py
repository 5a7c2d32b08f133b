"""The event log in a database, at an SQLAlchemy URL: SQLite, or another with its driver installed."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import sqlalchemy as sql
import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from stream.errors import OutputError, StorageError
from stream.events.jsonl_log import EventTransform, to_line
from stream.events.schema import KNOWN, OF_AN_EVENT, RESTORED, _metadata, events
from stream.results import Event
from stream.storage.database import (
    DURABLE,
    checkpoint_passive,
    connect,
    database_error,
    database_file,
    encode_surrogates,
    is_busy,
    is_disk_refusal,
    masked_url,
    remove_database,
    truncate_wal,
    vacuum,
)
from stream.storage.spool import EventSpool, held_elsewhere
from stream.threads import SupervisedThread

_log = structlog.get_logger(__name__)

sql.Index("events_known", events.c.wall_s, sqlite_where=KNOWN, postgresql_where=KNOWN)
sql.Index("events_restored", events.c.wall_s, sqlite_where=RESTORED, postgresql_where=RESTORED)

_ROWS_AT_ONCE = 500
_BUSY_MS = 250
"""How long a new event waits for another program's lock before it is spooled; the identification thread waits as
long."""
_RETRY_S, _LAST_TRIES = 0.5, 20
"""Seconds between attempts to store spooled events; and attempts at the end, each of `_BUSY_MS`."""


class SqlEventStore:
    """Writes events to a database, each committed, and on disk, before `write` returns.

    An event replaces one with the same id, so that replays leave no duplicates. SQLite runs in WAL mode: other
    processes may read at the same time. Passwords in the URL appear in no message.

    While another program holds SQLite's file locked, events wait in a file next to it (`EventSpool`), also on disk
    before `write` returns; they are stored in order once the lock is gone, after a crash by the next process.

    Raises OutputError where the database cannot be used, StorageError when it refuses later.
    """

    def __init__(self, url: str) -> None:
        self._engine = connect(url, DURABLE)
        self._writer = connect(url, (*DURABLE, f"busy_timeout={_BUSY_MS}"))
        self._lock = threading.Lock()  # writers wait here, because SQLite would refuse them after a timeout
        self._file = database_file(self._engine)
        self._busy_since: datetime | None = None
        self._closing = threading.Event()
        self._retrying = SupervisedThread("event store", self._retry)
        self._create()
        self._spool = self._take_over()
        if self._spool:
            self._start_retrying()

    def _create(self) -> None:
        is_new = self._file is not None and not self._file.exists()
        try:
            _metadata.create_all(self._engine)
            for index in events.indexes:  # a database of an earlier version may lack some
                index.create(self._engine, checkfirst=True)
            with self._engine.connect() as connection:
                connection.execute(sql.select(events).limit(0))
        except SQLAlchemyError as error:
            self._dispose()
            if self._file and is_new and is_disk_refusal(error):
                remove_database(self._file)
            advice = "end the program that holds it" if is_busy(error) else "name another database"
            raise OutputError(f"cannot log to {masked_url(self._engine)}: {database_error(error)}; {advice}") from error

    def _take_over(self) -> EventSpool | None:
        """Store the events that a killed process left in the spool, if the database is not locked."""
        if self._file is None:
            return None
        try:
            waiting = EventSpool(self._file)
        except OSError as error:
            self._dispose()
            raise OutputError(f"cannot read {self._file}.waiting: {error.strerror}; make it readable") from error
        with suppress(SQLAlchemyError):  # later, then
            while waiting:
                self._store_batch(waiting)
        return waiting

    def write(self, event: Event) -> None:
        record = event.to_json()
        try:
            with self._lock:  # a new event must not be stored before spooled ones
                if self._spool or not self._try_store(record):
                    self._spool_event(record)
        except (SQLAlchemyError, OSError) as error:
            raise StorageError(
                f"cannot log to {masked_url(self._engine)}: {database_error(error)}; make room and start again"
            ) from error

    @property
    def waiting(self) -> int:
        """Number of spooled events: on disk, but not yet in the database."""
        return len(self._spool or ())

    @property
    def busy_since(self) -> datetime | None:
        """Since when another program has locked the database, so that events wait; None if none wait."""
        return self._busy_since

    @property
    def place(self) -> str:
        """The URL without its password."""
        return masked_url(self._engine)

    def _try_store(self, record: Mapping[str, object]) -> bool:
        """Store a record; False if the file is locked."""
        try:
            self._store([record])
        except OperationalError as error:
            if self._spool is None or not is_busy(error):
                raise
            return False
        return True

    def _store(self, records: Sequence[Mapping[str, object]]) -> None:
        with self._writer.begin() as connection:
            for row in map(_row, records):
                replaced = connection.execute(sql.update(events).where(events.c.id == row["id"]).values(row))
                if not replaced.rowcount:
                    connection.execute(sql.insert(events).values(row))

    def _spool_event(self, record: Mapping[str, object]) -> None:
        assert self._spool is not None
        self._spool.append(f"{to_line(record)}\n".encode())
        if self._busy_since is None:
            self._start_retrying()

    def _start_retrying(self) -> None:
        """Start to retry at intervals."""
        self._busy_since = datetime.now(UTC)
        _log.warning(
            "the event store is locked by another program: events wait on disk", store=masked_url(self._engine)
        )
        if not self._retrying.started:
            self._retrying.start()

    def _retry(self) -> None:
        while not self._closing.wait(_RETRY_S):
            with suppress(SQLAlchemyError):
                self._catch_up()

    def _catch_up(self) -> None:
        """Store the spooled events; other writers may write in between. Raises SQLAlchemyError."""
        while self._spool:
            with self._lock:
                self._store_batch(self._spool)

    def _require_all_try_store(self) -> None:
        """Store the spooled events first, because they are to be rewritten, too. Raises SQLAlchemyError,
        StorageError."""
        while self._spool:
            self._store_batch(self._spool)
        if self._file and held_elsewhere(self._file):
            raise StorageError(f"cannot rewrite {self._file}: another unblur has events waiting for it; try again")

    def _store_batch(self, waiting: EventSpool) -> None:
        lines = waiting.first(_ROWS_AT_ONCE)
        self._store([json.loads(line) for line in lines])
        waiting.remove(lines)
        if not waiting and self._busy_since:
            self._busy_since = None
            _log.info("the event store is up to date again", store=masked_url(self._engine))

    def rewrite_events(self, change: EventTransform) -> int:
        """Replace each event by the result of `change`, in one transaction; returns how many were changed or deleted.

        In SQLite, deleted data are overwritten, and the file is rewritten, while writers wait. A database server may
        keep deleted data. Raises StorageError.
        """
        with self._rewriting(), self._lock:
            self._require_all_try_store()
            with self._engine.begin() as connection:
                changes = list(_changes(connection, change))
                for number, after in changes:
                    _apply_change(connection, number, after)
            if changes:
                vacuum(self._engine)
            truncate_wal(self._engine)
        return len(changes)

    def drop(self, ids: Collection[object]) -> int:
        """Delete the events with these ids, in batches between which others may write; returns how many existed.

        SQLite overwrites what it deletes; its file keeps its size, and is not rewritten. Raises StorageError; a second
        call deletes the rest.
        """
        dropped, left = 0, iter(ids)
        with self._rewriting():
            with self._lock:
                self._require_all_try_store()
            while some := list(itertools.islice(left, _ROWS_AT_ONCE)):
                with self._lock, self._engine.begin() as connection:
                    dropped += connection.execute(sql.delete(events).where(events.c.id.in_(some))).rowcount
                checkpoint_passive(self._engine)
            truncate_wal(self._engine, self._lock)
        return dropped

    def size(self) -> int | None:
        """Used bytes of the file, without free pages. None for a database server."""
        if self._engine.dialect.name != "sqlite":
            return None
        with self._rewriting(), self._engine.connect() as connection:
            size, pages, free = (
                connection.exec_driver_sql(f"PRAGMA {each}").scalar_one()
                for each in ("page_size", "page_count", "freelist_count")
            )
        return int(size * (pages - free))

    @contextmanager
    def _rewriting(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise StorageError(
                f"cannot rewrite {masked_url(self._engine)}: {database_error(error)}; try again"
            ) from error

    def close(self) -> None:
        """Store the spooled events if possible; else they stay on disk for the next process."""
        self._closing.set()
        self._retrying.close()
        for _ in range(_LAST_TRIES):
            with suppress(SQLAlchemyError):
                self._catch_up()
                break
        if self._spool:
            _log.warning(
                "events wait on disk, and will be stored when the event store is opened next",
                events=len(self._spool),
                store=masked_url(self._engine),
            )
            self._spool.close()
        self._dispose()

    def _dispose(self) -> None:
        self._engine.dispose()
        self._writer.dispose()


def _changes(connection: sql.Connection, change: EventTransform) -> Iterator[tuple[int, dict[str, object] | None]]:
    """Yield the changes: position, and the new event (None: deleted)."""
    chosen = sql.select(events.c.position, *OF_AN_EVENT).order_by(events.c.position)
    for row in connection.execute(chosen.execution_options(yield_per=_ROWS_AT_ONCE)):
        number, *values = row
        before = dict(zip((column.name for column in OF_AN_EVENT), values, strict=True))
        after = change(before)
        if after != before:
            yield number, after


def _apply_change(connection: sql.Connection, number: int, event: dict[str, object] | None) -> None:
    here = events.c.position == number
    connection.execute(
        sql.delete(events).where(here) if event is None else sql.update(events).where(here).values(_row(event))
    )


def _row(event: Mapping[str, object]) -> dict[str, object]:
    row = {key: encode_surrogates(value) for key, value in event.items()}
    wall_time = event["wall_time"]
    return row | {"wall_s": datetime.fromisoformat(str(wall_time)).timestamp() if wall_time else None}
