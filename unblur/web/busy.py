"""The answer 503 to a request that needs a database which is locked, or fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import OperationalError

from stream.events.event_store import is_busy, reason
from unblur.web.concurrency import unavailable

_log = structlog.get_logger(__name__)


@contextmanager
def refusing_when_busy() -> Iterator[None]:
    """Raises HTTPServiceUnavailable where a database is locked by another program, or refuses to work."""
    try:
        yield
    except OperationalError as error:
        _log.warning("a request needs a database that cannot be used", reason=reason(error))
        why = "another program is using the database" if is_busy(error) else "the database cannot be used"
        raise unavailable(f"{why} at this moment: try again in a few seconds") from error
