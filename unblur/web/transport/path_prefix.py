"""The path prefix: under which path of its own address a reverse proxy publishes the application.

Inside, every path is without it; what leaves, in pages and in `Location`, is with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from yarl import URL

from configs.schema import path_prefix
from unblur.web.transport.request_origin import is_local

FORWARDED = "x-forwarded-prefix"
"""The header in which a proxy says what it has taken off the path."""
_PREFIX = web.RequestKey("prefix", str)

Factory = Callable[
    [RawRequestMessage, StreamReader, web.RequestHandler, AbstractStreamWriter, "asyncio.Task[None]"], web.BaseRequest
]
"""Makes a request of what was parsed, as aiohttp's server does."""


def prefix(request: web.Request) -> str:
    """What stands before every path of ours in the address bar: empty, or one that begins, and does not end, with a
    slash."""
    found: str = request.get(_PREFIX, "")
    return found


def prefixed(configured: str, make: Factory) -> Factory:
    """A factory of requests that know their prefix: the `configured` one, or what a proxy on this machine says. A
    proxy that leaves the configured prefix in the path is as good as one that takes it off."""

    def made(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        said = _forwarded(message, protocol)
        request = make(message if said else _without(configured, message), payload, protocol, writer, task)
        request[_PREFIX] = configured or said
        return request

    return made


def locate(request: web.Request, response: web.StreamResponse) -> None:
    """Put the prefix before the path that an answer leads to."""
    if (place := response.headers.get(hdrs.LOCATION, "")).startswith("/"):
        response.headers[hdrs.LOCATION] = prefix(request) + place


def _forwarded(message: RawRequestMessage, protocol: web.RequestHandler) -> str:
    """Empty where nobody says anything, or nobody who is believed, or it is no path."""
    peer = protocol.peername
    said = [value for name, value in message.headers.items() if name.lower() == FORWARDED]
    if not said or not isinstance(peer, tuple) or not is_local(str(peer[0])):
        return ""
    try:
        return path_prefix(said[-1].strip())  # some proxies add a line to what a client sent
    except ValueError:
        return ""


def _without(configured: str, message: RawRequestMessage) -> RawRequestMessage:
    if not configured or not message.path.startswith(configured):
        return message
    rest = message.path.removeprefix(configured)
    if rest and rest[0] not in "/?":
        return message  # another path, which begins with the same letters
    rest = rest if rest.startswith("/") else f"/{rest}"
    path, _, query = rest.partition("?")
    return message._replace(path=rest, url=URL.build(path=path, query_string=query, encoded=True))
