"""Event data in the application's database: operators' feedback and queued webhook posts."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from stream.errors import OutputError, StorageError
from stream.events.jsonl_log import EventTransform
from stream.storage.database import database_error, masked_url, truncate_wal, vacuum
from unblur.feedback import Feedback
from unblur.notify import webhook_queue


class AppEventData:
    """Feedback and queued webhook posts, for erasure and retention. Raises OutputError if the database cannot be
    used."""

    def __init__(self, engine: sql.Engine) -> None:
        self._engine = engine
        try:
            self._feedback = Feedback(engine)
        except SQLAlchemyError as error:
            raise OutputError(
                f"cannot use {masked_url(engine)}: {database_error(error)}; name another folder"
            ) from error

    def amend(
        self, change: EventTransform, gone: Collection[object], names: Collection[str] = (), serving: bool = False
    ) -> int:
        """Apply `change` to the queued posts, and delete the feedback on the events in `gone` and the feedback that
        contains one of `names`; return the number of changed or deleted rows. The deleted content is also removed from
        the database's files.

        While the application is `serving`, the database is not vacuumed, since that would block its writes. Raises
        StorageError; a repeated call completes the work.
        """
        try:
            amended = self._feedback.forget(gone, names) + webhook_queue.rewrite_queued(self._engine, change)
            if amended and not serving:
                vacuum(self._engine)
            truncate_wal(self._engine)
        except SQLAlchemyError as error:
            raise StorageError(
                f"cannot rewrite {masked_url(self._engine)}: {database_error(error)}; try again"
            ) from error
        return amended
