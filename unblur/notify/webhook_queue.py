"""Persistent queue of webhook posts in the application's database."""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sql

from stream.events.jsonl_log import EventTransform, to_line

_metadata = sql.MetaData()
_posts = sql.Table(
    "webhook_posts",
    _metadata,
    sql.Column("position", sql.Integer, primary_key=True, comment="the order of sending"),
    sql.Column("hook", sql.String(64), nullable=False),
    sql.Column("id", sql.String(255), nullable=False),
    sql.Column("body", sql.Text, nullable=False),
    sql.Column("queued_s", sql.Double, nullable=False, comment="seconds since 1970 UTC"),
    sql.Index("webhook_posts_in_order", "hook", "position"),
    sqlite_autoincrement=True,
)
CAPACITY = 10_000
"""Maximum number of posts waiting for one hook; beyond it the oldest are dropped and counted."""


@dataclass(frozen=True, slots=True)
class Post:
    """One event queued for one hook: its queue position, event id and JSON body."""

    position: int
    id: str
    body: str


class Queue:
    """The posts of one hook, oldest first. All methods raise SQLAlchemyError if the database fails."""

    def __init__(self, engine: sql.Engine, hook: str) -> None:
        _metadata.create_all(engine)
        self._engine = engine
        self._of_this_hook = _posts.c.hook == hook
        self._hook = hook

    def add(self, id: str, body: str, now_s: float) -> int:
        """Append a post durably; return the number of oldest posts that were dropped for it."""
        newest = sql.select(_posts.c.position).where(self._of_this_hook).order_by(_posts.c.position.desc())
        row = {"hook": self._hook, "id": id, "body": body, "queued_s": now_s}
        with self._engine.begin() as connection:
            connection.execute(sql.insert(_posts).values(row))
            surplus = connection.execute(newest.offset(CAPACITY).limit(1)).scalar()
            if surplus is None:
                return 0
            return connection.execute(
                sql.delete(_posts).where(self._of_this_hook, _posts.c.position <= surplus)
            ).rowcount

    def expire(self, before_s: float) -> int:
        """Delete the posts queued before `before_s` (seconds since 1970 UTC); return their number."""
        with self._engine.begin() as connection:
            return connection.execute(
                sql.delete(_posts).where(self._of_this_hook, _posts.c.queued_s < before_s)
            ).rowcount

    def first(self) -> Post | None:
        """Return the oldest post without removing it."""
        chosen = sql.select(_posts.c.position, _posts.c.id, _posts.c.body).where(self._of_this_hook)
        with self._engine.connect() as connection:
            row = connection.execute(chosen.order_by(_posts.c.position).limit(1)).first()
        return Post(*row) if row else None

    def remove(self, post: Post) -> None:
        """Delete a delivered post."""
        with self._engine.begin() as connection:
            connection.execute(sql.delete(_posts).where(_posts.c.position == post.position))

    def __len__(self) -> int:
        with self._engine.connect() as connection:
            return connection.execute(sql.select(sql.func.count()).where(self._of_this_hook)).scalar_one()


def delete_other_hooks(engine: sql.Engine, hooks: list[str]) -> None:
    """Delete the posts of hooks that are not in `hooks`."""
    _metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sql.delete(_posts).where(_posts.c.hook.not_in(hooks)))


def rewrite_queued(engine: sql.Engine, change: EventTransform) -> int:
    """Apply `change` to the queued posts of all hooks; return the number of changed or deleted ones."""
    _metadata.create_all(engine)
    amended = 0
    with engine.begin() as connection:
        for position, body in connection.execute(sql.select(_posts.c.position, _posts.c.body)).all():
            before, is_this_post = json.loads(body), _posts.c.position == position
            after = change(before)
            if after is None:
                connection.execute(sql.delete(_posts).where(is_this_post))
            elif after != before:
                connection.execute(sql.update(_posts).where(is_this_post).values(body=to_line(after)))
            amended += after != before
    return amended
