"""A request that needs a database which cannot be used at this moment is refused in a sentence, to come again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from aiohttp import hdrs, web
from sqlalchemy.exc import OperationalError

from stream.store import is_busy, reason

RETRY_S = 5
"""When to come again."""

_log = structlog.get_logger(__name__)


@contextmanager
def refusing_when_busy() -> Iterator[None]:
    """Raises HTTPServiceUnavailable where a database is locked by another program, or refuses to work."""
    try:
        yield
    except OperationalError as error:
        _log.warning("a request needs a database that cannot be used", reason=reason(error))
        why = "another program is using the database" if is_busy(error) else "the database cannot be used"
        raise web.HTTPServiceUnavailable(
            text=f"{why} at this moment: try again in a few seconds", headers={hdrs.RETRY_AFTER: str(RETRY_S)}
        ) from error
