"""The folder of data, where `unblur serve` keeps what it knows, and the database of the application in it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sql
from platformdirs import user_data_path

from stream.errors import OutputError
from stream.store import DURABLE, connect

_DATABASE = "application.sqlite"


def folder_of_data(named: Path | None) -> Path:
    """The folder, made if it is not there, for its owner alone; the user's own if none is named. Raises OutputError."""
    folder = named or user_data_path("unblur")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; name another as serve.data") from error
    return folder


def application_database(folder: Path) -> sql.Engine:
    """The database in which accounts and the like lie: readable for its owner alone. Raises OutputError."""
    file = folder / _DATABASE
    try:
        file.touch(mode=0o600)  # SQLite gives its other files the same mode
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror}; name another folder as serve.data") from error
    return connect(sql.URL.create("sqlite", database=str(file)), DURABLE)
