"""What is still to be sent to a webhook: in the database, so that it outlives the process."""

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
"""Posts that may wait for one hook; of more, the oldest are lost, and counted."""


@dataclass(frozen=True, slots=True)
class Post:
    """One event on its way to one hook."""

    position: int
    id: str
    body: str


class Queue:
    """The posts of one hook, oldest first. Everything raises SQLAlchemyError where the database refuses."""

    def __init__(self, engine: sql.Engine, hook: str) -> None:
        _metadata.create_all(engine)
        self._engine = engine
        self._ours = _posts.c.hook == hook
        self._hook = hook

    def add(self, id: str, body: str, now_s: float) -> int:
        """Put a post at the end, on disk before this returns; how many at the other end were lost for it."""
        newest = sql.select(_posts.c.position).where(self._ours).order_by(_posts.c.position.desc())
        row = {"hook": self._hook, "id": id, "body": body, "queued_s": now_s}
        with self._engine.begin() as connection:
            connection.execute(sql.insert(_posts).values(row))
            surplus = connection.execute(newest.offset(CAPACITY).limit(1)).scalar()
            if surplus is None:
                return 0
            return connection.execute(sql.delete(_posts).where(self._ours, _posts.c.position <= surplus)).rowcount

    def expire(self, before_s: float) -> int:
        """Lose what was queued before then; how many posts that were."""
        with self._engine.begin() as connection:
            return connection.execute(sql.delete(_posts).where(self._ours, _posts.c.queued_s < before_s)).rowcount

    def first(self) -> Post | None:
        """The oldest, which stays."""
        chosen = sql.select(_posts.c.position, _posts.c.id, _posts.c.body).where(self._ours)
        with self._engine.connect() as connection:
            row = connection.execute(chosen.order_by(_posts.c.position).limit(1)).first()
        return Post(*row) if row else None

    def remove(self, post: Post) -> None:
        """It has arrived."""
        with self._engine.begin() as connection:
            connection.execute(sql.delete(_posts).where(_posts.c.position == post.position))

    def __len__(self) -> int:
        with self._engine.connect() as connection:
            return connection.execute(sql.select(sql.func.count()).where(self._ours)).scalar_one()


def forget_others(engine: sql.Engine, hooks: list[str]) -> None:
    """Lose what waits for hooks that there are no more."""
    _metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sql.delete(_posts).where(_posts.c.hook.not_in(hooks)))


def amend(engine: sql.Engine, change: EventTransform) -> int:
    """Put what `change` makes of each event that waits, for whichever hook, in its place; how many were changed or are
    gone."""
    _metadata.create_all(engine)
    amended = 0
    with engine.begin() as connection:
        for position, body in connection.execute(sql.select(_posts.c.position, _posts.c.body)).all():
            before, here = json.loads(body), _posts.c.position == position
            after = change(before)
            if after is None:
                connection.execute(sql.delete(_posts).where(here))
            elif after != before:
                connection.execute(sql.update(_posts).where(here).values(body=to_line(after)))
            amended += after != before
    return amended
