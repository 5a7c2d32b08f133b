"""The application's database: accounts, sessions, audit log, feedback and queued webhooks, in the data folder."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sql

from stream.errors import OutputError
from stream.storage.database import DURABLE, connect, reader
from unblur.data_dir import DATABASE, require_data_folder


def application_database(folder: Path) -> sql.Engine:
    """Open the database in a data folder, created if missing, readable for its owner alone. Raises OutputError."""
    file = folder / DATABASE
    try:
        file.touch(mode=0o600)  # SQLite gives its other files the same mode
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror}; name another folder as serve.data") from error
    return connect(sql.URL.create("sqlite", database=str(file)), DURABLE)


def database_to_read(folder: Path) -> sql.Engine:
    """Open the database read-only, also while `unblur serve` uses it. Raises UsageError if it does not exist."""
    require_data_folder(folder)
    return reader(connect(sql.URL.create("sqlite", database=str(folder / DATABASE))))
