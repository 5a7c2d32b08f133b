"""The event log as a database, named by an SQLAlchemy URL: SQLite by itself, others with their driver installed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from stream.data import Event
from stream.errors import OutputError, StorageError

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

OF_AN_EVENT = [column for column in events.columns if column.name not in ("position", "wall_s")]


class EventStore:
    """Writes events to a database, each committed, and on disk, before `write` returns.

    An event whose id is there already takes the old one's place, so that replays leave no duplicates. SQLite runs in
    WAL mode: others may read meanwhile. Passwords in the URL appear in no message.

    Raises OutputError where the database cannot be used, StorageError when it refuses later.
    """

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        try:
            _metadata.create_all(self._engine)
            with self._engine.connect() as connection:
                connection.execute(sql.select(events).limit(0))
        except SQLAlchemyError as error:
            raise OutputError(
                f"cannot log to {_shown(self._engine)}: {reason(error)}; name another database"
            ) from error

    def write(self, event: Event) -> None:
        row = _row(event.to_json())
        try:
            with self._engine.begin() as connection:
                replaced = connection.execute(sql.update(events).where(events.c.id == row["id"]).values(row))
                if not replaced.rowcount:
                    connection.execute(sql.insert(events).values(row))
        except SQLAlchemyError as error:
            raise StorageError(
                f"cannot log to {_shown(self._engine)}: {reason(error)}; make room and start again"
            ) from error

    def close(self) -> None:
        self._engine.dispose()


def connect(url: str) -> sql.Engine:
    """An engine for the URL. Raises OutputError for a URL that means nothing or a driver that is not installed."""
    try:
        engine = sql.create_engine(url)
    except ArgumentError as error:
        raise OutputError("not a database URL; write it as sqlite:///FILE") from error
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise OutputError(f"no driver for this database: {error}; install it, or use sqlite:///FILE") from error
    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", _make_durable)
    return engine


def reason(error: SQLAlchemyError) -> str:
    """What the database said, in one line, without the statement and its values."""
    said = str(getattr(error, "orig", None) or error)
    return said.splitlines()[0]


def _make_durable(connection: Any, _record: ConnectionPoolEntry) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _shown(engine: sql.Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _row(event: Mapping[str, object]) -> dict[str, object]:
    row = {key: _storable(value) for key, value in event.items()}
    wall_time = event["wall_time"]
    return row | {"wall_s": datetime.fromisoformat(str(wall_time)).timestamp() if wall_time else None}


def _storable(value: object) -> object:
    """Databases take no half of a surrogate pair: it becomes its escape, as in the JSON."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
