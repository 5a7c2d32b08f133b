"""Responses to failed requests: status, and a JSON object with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from aiohttp import hdrs, web
from sqlalchemy.exc import OperationalError

from stream.errors import ConfirmationRequiredError, OutputError, StorageError, UsageError
from stream.storage.database import database_error, is_busy

_log = structlog.get_logger(__name__)
RETRY_S = 5
"""Seconds after which a client may try again (Retry-After)."""


def unavailable(reason: str) -> web.HTTPServiceUnavailable:
    """A 503 response with its reason, and when to try again."""
    return web.HTTPServiceUnavailable(text=reason, headers={hdrs.RETRY_AFTER: str(RETRY_S)})


@contextmanager
def map_database_errors() -> Iterator[None]:
    """Raise HTTPServiceUnavailable where a database is locked by another program, or fails."""
    try:
        yield
    except OperationalError as error:
        _log.warning("a request needs a database that cannot be used", reason=database_error(error))
        why = "another program is using the database" if is_busy(error) else "the database cannot be used"
        raise unavailable(f"{why} at this moment: try again in a few seconds") from error


def error_response(status: int, error: str, retry_s: int | None = None) -> web.Response:
    """An error as JSON; with `retry_s`, after so many seconds the client may try again (Retry-After)."""
    headers = None if retry_s is None else {hdrs.RETRY_AFTER: str(retry_s)}
    return web.json_response({"error": error}, status=status, headers=headers)


@contextmanager
def map_errors() -> Iterator[None]:
    """Map errors of this project to HTTP exceptions."""
    try:
        yield
    except KeyError as error:
        raise web.HTTPNotFound(text="there is no such person or picture, or no longer") from error
    except (OutputError, StorageError) as error:
        raise web.HTTPInsufficientStorage(text=str(error)) from error
    except ConfirmationRequiredError as error:
        raise web.HTTPConflict(text=str(error)) from error
    except UsageError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
