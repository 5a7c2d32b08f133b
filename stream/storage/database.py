"""SQL databases: engines, SQLite pragmas, and what their errors mean."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from stream.errors import OutputError, StorageError, UsageError

DURABLE = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "secure_delete=ON")
"""Pragmas for SQLite: what was committed is on the disk, what was deleted is not, and others may read meanwhile."""

_HELD_UP_MS = 200
"""How long one attempt to empty the write-ahead log may wait for readers: meanwhile, writers are blocked."""

_TRIES, _PAUSE_S = 20, 0.1

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_DISK_REFUSED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


def connect(url: str | sql.URL, pragmas: Sequence[str] = ()) -> sql.Engine:
    """An engine for the URL; SQLite gets the pragmas with every connection. Its errors are logged, and so do not
    contain values, which hold names of people and hashes.

    Raises OutputError for a URL that means nothing or names no file, or a driver that is not installed.
    """
    try:
        engine = sql.create_engine(url, hide_parameters=True)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise OutputError(f"no driver for this database: {error}; install it, or use sqlite:///FILE") from error
    except (ArgumentError, ValueError) as error:
        raise OutputError(_not_a_url(str(url))) from error
    if engine.dialect.name == "sqlite":
        if engine.url.database in (None, "", ":memory:"):
            raise OutputError(f"{masked_url(engine)} names no file; write it as sqlite:///FILE")
        sql.event.listen(engine, "connect", partial(_set_pragmas, pragmas))
    return engine


def _not_a_url(text: str) -> str:
    """What to write instead; the text is repeated only if it looks like a file, for a URL may hold a password."""
    if re.fullmatch(r"[\w./-]+", text):
        return f'"{text}" is not a database URL. Did you mean sqlite:///{text}?'
    return "this is not a database URL: write it as sqlite:///FILE"


def vacuum(engine: sql.Engine) -> None:
    """Leave nothing of what was deleted in SQLite's file: pages that were split keep copies of rows in their unused
    parts, which SQLite does not track (sqlite.org/lang_vacuum.html). Writers are blocked meanwhile. Raises
    SQLAlchemyError."""
    if engine.dialect.name == "sqlite":
        with _autocommit(engine) as connection:
            connection.exec_driver_sql("VACUUM")


def truncate_wal(engine: sql.Engine, lock: AbstractContextManager[object] | None = None) -> None:
    """Leave no deleted data in the write-ahead log of SQLite's file. Waits for readers, but without holding the `lock`
    of the writers. Raises StorageError, SQLAlchemyError."""
    checkpoint_passive(engine)
    for _ in range(_TRIES):
        with lock or nullcontext():
            if checkpoint_truncate(engine):
                return
        time.sleep(_PAUSE_S)  # there is no notification when readers are done
    raise StorageError(
        f"what was deleted still lies in the -wal file of {masked_url(engine)}, for something has been reading it:"
        " end other programs that do, and try again"
    )


def checkpoint_passive(engine: sql.Engine) -> None:
    """Move pages from the write-ahead log into SQLite's file, as far as possible, without blocking readers or
    writers."""
    if engine.dialect.name == "sqlite":
        with _autocommit(engine) as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


def checkpoint_truncate(engine: sql.Engine) -> bool:
    """Empty the write-ahead log, unless it is being read; returns whether it is empty."""
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
    """The message of the database, in one line, without the statement and its values."""
    message = str(getattr(error, "orig", None) or error)
    return message.splitlines()[0]


def _set_pragmas(pragmas: Sequence[str], connection: Any, _record: ConnectionPoolEntry) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def is_disk_refusal(error: SQLAlchemyError) -> bool:
    """And not, say, another process that made the same database at the same time, which is then theirs."""
    return _sqlite_code(error) in _DISK_REFUSED


def _sqlite_code(error: Exception) -> int:
    """SQLite's primary result code, without the extended part (sqlite.org/rescode.html)."""
    code: int = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return code & 0xFF


def remove_database(file: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):  # most are not there; what the disk does not let go of, the message is about
            file.with_name(f"{file.name}{suffix}").unlink()


def encode_surrogates(value: object) -> object:
    """Databases take no half of a surrogate pair: it becomes its escape, as in the JSON."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def reader(engine: sql.Engine) -> sql.Engine:
    """SQLite must find its file, and may not change it. Its mode=ro would leave a -wal and a -shm behind.

    Raises UsageError where there is no such file.
    """
    file = database_file(engine)
    if file is None:
        return engine
    if not file.is_file():
        raise UsageError(f"cannot read events from {file}: no such file")
    query = {**engine.url.query, "mode": "rw", "uri": "true"}
    return connect(engine.url.set(database=file.absolute().as_uri(), query=query), ["query_only=ON"])
