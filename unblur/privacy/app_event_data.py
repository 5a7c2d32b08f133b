"""What the application's database holds of events beside their log: what operators said of them, and what of them still
waits to be sent to webhooks."""

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
    """Raises OutputError where the database cannot be used."""

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
        """Do to what waits as `change` does to the log, and lose what was said of the events that are `gone`, and
        whatever bears one of the `names`; how many words and posts were changed or are gone, for good.

        While the application is `serving`, which could not write meanwhile, the file is not written anew. Raises
        StorageError; doing it again does the rest.
        """
        try:
            amended = self._feedback.forget(gone, names) + webhook_queue.amend(self._engine, change)
            if amended and not serving:
                vacuum(self._engine)
            truncate_wal(self._engine)
        except SQLAlchemyError as error:
            raise StorageError(
                f"cannot rewrite {masked_url(self._engine)}: {database_error(error)}; try again"
            ) from error
        return amended
