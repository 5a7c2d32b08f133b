"""The event log as a database, named by an SQLAlchemy URL: SQLite by itself, others with their driver installed."""

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
"""How long a new event waits for another program's lock before it is put aside: the thread that names people is held up
for as long."""
_RETRY_S, _LAST_TRIES = 0.5, 20
"""Seconds between tries to store what waits; and tries at the end, each of `_BUSY_MS`."""


class SqlEventStore:
    """Writes events to a database, each committed, and on disk, before `write` returns.

    An event whose id is there already takes the old one's place, so that replays leave no duplicates. SQLite runs in
    WAL mode: others may read meanwhile. Passwords in the URL appear in no message.

    While another program holds SQLite's file locked, events wait in a file beside it (`EventSpool`), on disk, too,
    before `write` returns; they are stored in order once the lock is gone, also by the next process after a crash.

    Raises OutputError where the database cannot be used, StorageError when it refuses later.
    """

    def __init__(self, url: str) -> None:
        self._engine = connect(url, DURABLE)
        self._writer = connect(url, (*DURABLE, f"busy_timeout={_BUSY_MS}"))
        self._lock = threading.Lock()  # who writes waits here, for SQLite would refuse them after a while
        self._file = database_file(self._engine)
        self._busy_since: datetime | None = None
        self._closing = threading.Event()
        self._retrying = SupervisedThread("event store", self._retry)
        self._create()
        self._waiting = self._take_over()
        if self._waiting:
            self._put_off()

    def _create(self) -> None:
        made = self._file is not None and not self._file.exists()
        try:
            _metadata.create_all(self._engine)
            for index in events.indexes:  # a database of an earlier version may lack some
                index.create(self._engine, checkfirst=True)
            with self._engine.connect() as connection:
                connection.execute(sql.select(events).limit(0))
        except SQLAlchemyError as error:
            self._dispose()
            if self._file and made and is_disk_refusal(error):
                remove_database(self._file)
            advice = "end the program that holds it" if is_busy(error) else "name another database"
            raise OutputError(f"cannot log to {masked_url(self._engine)}: {database_error(error)}; {advice}") from error

    def _take_over(self) -> EventSpool | None:
        """What waited for a process that was killed is stored now, if nothing holds the database."""
        if self._file is None:
            return None
        try:
            waiting = EventSpool(self._file)
        except OSError as error:
            self._dispose()
            raise OutputError(f"cannot read {self._file}.waiting: {error.strerror}; make it readable") from error
        with suppress(SQLAlchemyError):  # later, then
            while waiting:
                self._store_some(waiting)
        return waiting

    def write(self, event: Event) -> None:
        record = event.to_json()
        try:
            with self._lock:  # whoever comes later must not go before those that wait
                if self._waiting or not self._stored(record):
                    self._put_aside(record)
        except (SQLAlchemyError, OSError) as error:
            raise StorageError(
                f"cannot log to {masked_url(self._engine)}: {database_error(error)}; make room and start again"
            ) from error

    @property
    def waiting(self) -> int:
        """Events that are on disk, but not yet in the database."""
        return len(self._waiting or ())

    @property
    def busy_since(self) -> datetime | None:
        """Since when another program has held the database locked, so that events wait; None where nothing waits."""
        return self._busy_since

    @property
    def place(self) -> str:
        """The URL without its password."""
        return masked_url(self._engine)

    def _stored(self, record: Mapping[str, object]) -> bool:
        """Store it; False where the file is locked."""
        try:
            self._store([record])
        except OperationalError as error:
            if self._waiting is None or not is_busy(error):
                raise
            return False
        return True

    def _store(self, records: Sequence[Mapping[str, object]]) -> None:
        with self._writer.begin() as connection:
            for row in map(_row, records):
                replaced = connection.execute(sql.update(events).where(events.c.id == row["id"]).values(row))
                if not replaced.rowcount:
                    connection.execute(sql.insert(events).values(row))

    def _put_aside(self, record: Mapping[str, object]) -> None:
        assert self._waiting is not None
        self._waiting.append(f"{to_line(record)}\n".encode())
        if self._busy_since is None:
            self._put_off()

    def _put_off(self) -> None:
        """From now on it is tried again and again."""
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
        """Store what waits, and let in who writes in between. Raises SQLAlchemyError."""
        while self._waiting:
            with self._lock:
                self._store_some(self._waiting)

    def _require_all_stored(self) -> None:
        """What waits is to be rewritten, too, and so stored first. Raises SQLAlchemyError, StorageError."""
        while self._waiting:
            self._store_some(self._waiting)
        if self._file and held_elsewhere(self._file):
            raise StorageError(f"cannot rewrite {self._file}: another unblur has events waiting for it; try again")

    def _store_some(self, waiting: EventSpool) -> None:
        lines = waiting.first(_ROWS_AT_ONCE)
        self._store([json.loads(line) for line in lines])
        waiting.remove(lines)
        if not waiting and self._busy_since:
            self._busy_since = None
            _log.info("the event store is up to date again", store=masked_url(self._engine))

    def rewrite_events(self, change: EventTransform) -> int:
        """Put what `change` makes of each event in its place, in one step; how many were changed or are gone.

        From SQLite's own files they are gone for good: what is deleted is overwritten, and the file is written anew,
        for which whoever writes waits. A database server keeps what it keeps. Raises StorageError.
        """
        with self._rewriting(), self._lock:
            self._require_all_stored()
            with self._engine.begin() as connection:
                amended = list(_amended(connection, change))
                for number, after in amended:
                    _put(connection, number, after)
            if amended:
                vacuum(self._engine)
            truncate_wal(self._engine)
        return len(amended)

    def drop(self, ids: Collection[object]) -> int:
        """Delete the events with these ids while others write, whom it lets in every few rows; how many there were.

        SQLite overwrites what it deletes; its file keeps its size, and is not written anew. Raises StorageError; doing
        it again does the rest.
        """
        dropped, left = 0, iter(ids)
        with self._rewriting():
            with self._lock:
                self._require_all_stored()
            while some := list(itertools.islice(left, _ROWS_AT_ONCE)):
                with self._lock, self._engine.begin() as connection:
                    dropped += connection.execute(sql.delete(events).where(events.c.id.in_(some))).rowcount
                checkpoint_passive(self._engine)
            truncate_wal(self._engine, self._lock)
        return dropped

    def size(self) -> int | None:
        """Bytes of the file that hold something: what is free will be written over. None for a database server's."""
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
        """What still waits is stored if it can be, and stays on disk for the next process if not."""
        self._closing.set()
        self._retrying.close()
        for _ in range(_LAST_TRIES):
            with suppress(SQLAlchemyError):
                self._catch_up()
                break
        if self._waiting:
            _log.warning(
                "events wait on disk, and will be stored when the event store is opened next",
                events=len(self._waiting),
                store=masked_url(self._engine),
            )
            self._waiting.close()
        self._dispose()

    def _dispose(self) -> None:
        self._engine.dispose()
        self._writer.dispose()


def _amended(connection: sql.Connection, change: EventTransform) -> Iterator[tuple[int, dict[str, object] | None]]:
    """What is to be changed: where it stands, and what it is to be."""
    chosen = sql.select(events.c.position, *OF_AN_EVENT).order_by(events.c.position)
    for row in connection.execute(chosen.execution_options(yield_per=_ROWS_AT_ONCE)):
        number, *values = row
        before = dict(zip((column.name for column in OF_AN_EVENT), values, strict=True))
        after = change(before)
        if after != before:
            yield number, after


def _put(connection: sql.Connection, number: int, event: dict[str, object] | None) -> None:
    here = events.c.position == number
    connection.execute(
        sql.delete(events).where(here) if event is None else sql.update(events).where(here).values(_row(event))
    )


def _row(event: Mapping[str, object]) -> dict[str, object]:
    row = {key: encode_surrogates(value) for key, value in event.items()}
    wall_time = event["wall_time"]
    return row | {"wall_s": datetime.fromisoformat(str(wall_time)).timestamp() if wall_time else None}
