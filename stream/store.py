"""The event log as a database, named by an SQLAlchemy URL: SQLite by itself, others with their driver installed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from stream.data import Event
from stream.errors import OutputError, StorageError
from stream.eventlog import Change

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
_DISK_REFUSED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
OF_AN_EVENT = [column for column in events.columns if column.name not in ("position", "wall_s")]


class EventStore:
    """Writes events to a database, each committed, and on disk, before `write` returns.

    An event whose id is there already takes the old one's place, so that replays leave no duplicates. SQLite runs in
    WAL mode: others may read meanwhile. Passwords in the URL appear in no message.

    Raises OutputError where the database cannot be used, StorageError when it refuses later.
    """

    def __init__(self, url: str) -> None:
        self._engine = connect(url, DURABLE)
        file = database_file(self._engine)
        made = file is not None and not file.exists()
        try:
            _metadata.create_all(self._engine)
            for index in events.indexes:  # a database of an earlier version may lack some
                index.create(self._engine, checkfirst=True)
            with self._engine.connect() as connection:
                connection.execute(sql.select(events).limit(0))
        except SQLAlchemyError as error:
            self.close()
            if file and made and _disk_refused(error):
                _remove(file)
            raise OutputError(f"cannot log to {shown(self._engine)}: {reason(error)}; name another database") from error

    def write(self, event: Event) -> None:
        row = _row(event.to_json())
        try:
            with self._engine.begin() as connection:
                replaced = connection.execute(sql.update(events).where(events.c.id == row["id"]).values(row))
                if not replaced.rowcount:
                    connection.execute(sql.insert(events).values(row))
        except SQLAlchemyError as error:
            raise StorageError(
                f"cannot log to {shown(self._engine)}: {reason(error)}; make room and start again"
            ) from error

    def amend(self, change: Change) -> int:
        """Put what `change` makes of each event in its place; how many were changed or are gone.

        From SQLite's own files they are gone for good: what is deleted is overwritten, and the file is written anew.
        A database server keeps what it keeps. Raises StorageError.
        """
        try:
            with self._engine.begin() as connection:
                amended = list(_amended(connection, change))
                for number, after in amended:
                    _put(connection, number, after)
            if self._engine.dialect.name == "sqlite":
                wipe(self._engine, rewrite=bool(amended))
        except SQLAlchemyError as error:
            raise StorageError(f"cannot rewrite {shown(self._engine)}: {reason(error)}; try again") from error
        return len(amended)

    def close(self) -> None:
        self._engine.dispose()


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
            raise OutputError(f"{shown(engine)} names no file; write it as sqlite:///FILE")
        sql.event.listen(engine, "connect", partial(_set, pragmas))
    return engine


def wipe(engine: sql.Engine, rewrite: bool) -> None:
    """Leave nothing of what was deleted in the log of pages beside SQLite's file, nor, with `rewrite`, in free pages
    (sqlite.org/lang_vacuum.html). Raises StorageError, SQLAlchemyError."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if rewrite:
            connection.exec_driver_sql("VACUUM")
        busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalars().first()
    if busy:
        raise StorageError(
            f"what was deleted still lies in the -wal file of {shown(engine)}, for another program reads it:"
            " end that program and try again"
        )


def database_file(engine: sql.Engine) -> Path | None:
    """SQLite's file; None for a database server."""
    return Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None


def shown(engine: sql.Engine) -> str:
    """The URL without its password."""
    return engine.url.render_as_string(hide_password=True)


def reason(error: Exception) -> str:
    """What the database said, in one line, without the statement and its values."""
    said = str(getattr(error, "orig", None) or error)
    return said.splitlines()[0]


def _amended(connection: sql.Connection, change: Change) -> Iterator[tuple[int, dict[str, object] | None]]:
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


def _set(pragmas: Sequence[str], connection: Any, _record: ConnectionPoolEntry) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _disk_refused(error: SQLAlchemyError) -> bool:
    """And not, say, another process that made the same database at the same time, which is then theirs."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return code & 0xFF in _DISK_REFUSED  # the rest of an extended code tells the details (sqlite.org/rescode.html)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):  # most are not there; what the disk does not let go of, the message is about
            file.with_name(f"{file.name}{suffix}").unlink()


def _row(event: Mapping[str, object]) -> dict[str, object]:
    row = {key: storable(value) for key, value in event.items()}
    wall_time = event["wall_time"]
    return row | {"wall_s": datetime.fromisoformat(str(wall_time)).timestamp() if wall_time else None}


def storable(value: object) -> object:
    """Databases take no half of a surrogate pair: it becomes its escape, as in the JSON."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
