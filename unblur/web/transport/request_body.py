"""Reading of request bodies, limited in size and with a minimum rate, so that slow clients cannot hold resources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

_BODY = web.RequestKey("body", bytes)
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class MinimumRate:
    """Minimum transfer rate of a body: `grace_s` seconds, and one more for every `bytes_per_s` bytes of it, but never
    longer than `longest_s` in total (as in Apache's mod_reqtimeout)."""

    grace_s: float = 10.0
    bytes_per_s: float = 4096.0
    longest_s: float = 60.0

    def allowed_s(self, size: int) -> float:
        """Seconds that the first `size` bytes may take."""
        return min(self.grace_s + size / self.bytes_per_s, self.longest_s)


PACE = MinimumRate()
"""For forms, JSON and SDP offers."""
UPLOAD_PACE = MinimumRate(bytes_per_s=16 * 1024.0, longest_s=120.0)
"""For images."""


class Deadline:
    """The time limit of a body, extended by each chunk that arrives."""

    def __init__(self, pace: MinimumRate, limit: asyncio.Timeout) -> None:
        self._pace, self._limit = pace, limit
        self._began_s, self._size = asyncio.get_running_loop().time(), 0
        self.extend(0)

    def extend(self, size: int) -> None:
        """Extend the limit after `size` more bytes."""
        self._size += size
        self._limit.reschedule(self._began_s + self._pace.allowed_s(self._size))


@asynccontextmanager
async def deadline(pace: MinimumRate) -> AsyncIterator[Deadline]:
    """Context in which a body is read. Raises HTTPRequestTimeout if it arrives more slowly than `pace`."""
    try:
        async with asyncio.timeout(None) as limit:
            yield Deadline(pace, limit)
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body came too slowly: send it again") from error


async def read_body(request: web.Request, longest: int, pace: MinimumRate | None = None) -> bytes:
    """Read the whole body, of at most `longest` bytes; may be called repeatedly. Raises HTTPBadRequest,
    HTTPRequestTimeout, HTTPRequestEntityTooLarge."""
    if _BODY not in request:
        request[_BODY] = await _read(request, longest, pace or PACE)
    body = request[_BODY]
    if len(body) > longest:
        raise web.HTTPRequestEntityTooLarge(longest, len(body))
    return body


async def _read(request: web.Request, longest: int, pace: MinimumRate) -> bytes:
    if (request.content_length or 0) > longest:
        raise web.HTTPRequestEntityTooLarge(longest, request.content_length or 0)
    body = bytearray()
    try:
        async with deadline(pace) as due:
            async for chunk in request.content.iter_chunked(_CHUNK):
                due.extend(len(chunk))
                body += chunk
                if len(body) > longest:
                    raise web.HTTPRequestEntityTooLarge(longest, len(body))
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise web.HTTPBadRequest(text="the body is not what its header says") from error
    return bytes(body)


TYPE = "application/x-www-form-urlencoded"

_FIELDS = 100

_LONGEST = 1 << 20
"""Largest form in bytes."""


async def read_form(request: web.Request, longest: int = _LONGEST) -> Mapping[str, str]:
    """Read a form's fields, in UTF-8; empty for another content type. Raises HTTPBadRequest,
    HTTPRequestTimeout, and HTTPRequestEntityTooLarge for a form of more bytes than `longest`."""
    if request.content_type != TYPE:
        return {}
    body = await read_body(request, longest)
    try:
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"the form cannot be read: {error}") from error
