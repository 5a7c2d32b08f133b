"""The event log as a database, named by an SQLAlchemy URL: SQLite by itself, others with their driver installed."""

from __future__ import annotations

import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sql
import structlog
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from stream.errors import OutputError, StorageError
from stream.events.jsonl_log import EventTransform, to_line
from stream.storage.spool import EventSpool, held_elsewhere
from stream.threads import SupervisedThread
from stream.values import Event

_log = structlog.get_logger(__name__)
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
"""An event's keys as columns, under their own names and in their own order."""
KNOWN = events.c.name.is_not(None)
RESTORED = events.c.deblurred_by != sql.literal_column("'none'")
"""Literally, for a partial index serves only who asks with its own words (sqlite.org/partialindex.html)."""
sql.Index("events_known", events.c.wall_s, sqlite_where=KNOWN, postgresql_where=KNOWN)
sql.Index("events_restored", events.c.wall_s, sqlite_where=RESTORED, postgresql_where=RESTORED)

DURABLE = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "secure_delete=ON")
"""Pragmas for SQLite: what was committed is on the disk, what was deleted is not, and others may read meanwhile."""
_ROWS_AT_ONCE = 500
_HELD_UP_MS = 200
"""How long emptying the log of pages may wait for readers at a time: as long as it waits, nobody can write."""
_TRIES, _PAUSE_S = 20, 0.1
_BUSY_MS = 250
"""How long a new event waits for another program's lock before it is put aside: the thread that names people is held up
for as long."""
_RETRY_S, _LAST_TRIES = 0.5, 20
"""Seconds between tries to store what waits; and tries at the end, each of `_BUSY_MS`."""
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DISK_REFUSED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
OF_AN_EVENT = [column for column in events.columns if column.name not in ("position", "wall_s")]


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


def connect(url: str | sql.URL, pragmas: Sequence[str] = ()) -> sql.Engine:
    """An engine for the URL; SQLite gets the pragmas with every connection. What it complains of goes into logs, and so
    is told without values: they name people, and hold hashes.

    Raises OutputError for a URL that means nothing or names no file, or a driver that is not installed.
    """
    try:
        engine = sql.create_engine(url, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise OutputError(f"no driver for this database: {error}; install it, or use sqlite:///FILE") from error
    except (ArgumentError, ValueError) as error:
        raise OutputError("not a database URL; write it as sqlite:///FILE") from error
    if engine.dialect.name == "sqlite":
        if engine.url.database in (None, "", ":memory:"):
            raise OutputError(f"{masked_url(engine)} names no file; write it as sqlite:///FILE")
        sql.event.listen(engine, "connect", partial(_set_pragmas, pragmas))
    return engine


def vacuum(engine: sql.Engine) -> None:
    """Leave nothing of what was deleted in SQLite's file: pages that were split keep copies of rows in their unused
    parts, of which SQLite knows nothing more (sqlite.org/lang_vacuum.html). Nobody can write meanwhile. Raises
    SQLAlchemyError."""
    if engine.dialect.name == "sqlite":
        with _autocommit(engine) as connection:
            connection.exec_driver_sql("VACUUM")


def truncate_wal(engine: sql.Engine, lock: AbstractContextManager[object] | None = None) -> None:
    """Leave nothing of what was deleted in the log of pages beside SQLite's file. Whoever reads is waited for, but not
    with the `lock` that whoever writes waits for. Raises StorageError, SQLAlchemyError."""
    checkpoint_passive(engine)
    for _ in range(_TRIES):
        with lock or nullcontext():
            if checkpoint_truncate(engine):
                return
        time.sleep(_PAUSE_S)  # readers tell nobody that they are done
    raise StorageError(
        f"what was deleted still lies in the -wal file of {masked_url(engine)}, for something has been reading it:"
        " end other programs that do, and try again"
    )


def checkpoint_passive(engine: sql.Engine) -> None:
    """Bring what can be brought from the log of pages into SQLite's file. It holds nobody up, and lets in who waits."""
    if engine.dialect.name == "sqlite":
        with _autocommit(engine) as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


def checkpoint_truncate(engine: sql.Engine) -> bool:
    """Empty the log of pages, unless somebody reads it; whether it is empty."""
    if engine.dialect.name != "sqlite":
        return True
    with _autocommit(engine) as connection:
        patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_HELD_UP_MS}")
        try:
            return not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalars().first()
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={patience}")


def _autocommit(engine: sql.Engine) -> sql.Connection:
    """A connection for what cannot be part of a transaction."""
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def database_file(engine: sql.Engine) -> Path | None:
    """SQLite's file; None for a database server."""
    return Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None


def masked_url(engine: sql.Engine) -> str:
    """The URL without its password."""
    return engine.url.render_as_string(hide_password=True)


def is_busy(error: Exception) -> bool:
    """Whether another program holds SQLite's file locked: the same will go later on."""
    return _sqlite_code(error) in _BUSY


def database_error(error: Exception) -> str:
    """What the database said, in one line, without the statement and its values."""
    said = str(getattr(error, "orig", None) or error)
    return said.splitlines()[0]


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


def _set_pragmas(pragmas: Sequence[str], connection: Any, _record: ConnectionPoolEntry) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def is_disk_refusal(error: SQLAlchemyError) -> bool:
    """And not, say, another process that made the same database at the same time, which is then theirs."""
    return _sqlite_code(error) in _DISK_REFUSED


def _sqlite_code(error: Exception) -> int:
    """SQLite's primary code; the rest of an extended one tells the details (sqlite.org/rescode.html)."""
    code: int = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return code & 0xFF


def remove_database(file: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):  # most are not there; what the disk does not let go of, the message is about
            file.with_name(f"{file.name}{suffix}").unlink()


def _row(event: Mapping[str, object]) -> dict[str, object]:
    row = {key: encode_surrogates(value) for key, value in event.items()}
    wall_time = event["wall_time"]
    return row | {"wall_s": datetime.fromisoformat(str(wall_time)).timestamp() if wall_time else None}


def encode_surrogates(value: object) -> object:
    """Databases take no half of a surrogate pair: it becomes its escape, as in the JSON."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
