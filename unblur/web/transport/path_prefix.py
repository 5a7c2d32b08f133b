"""The path prefix: the path under which a reverse proxy publishes the application.

Internally, paths have no prefix; in pages and in `Location` headers, they have it.
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
"""The header with the prefix that a proxy has removed from the path."""
_PREFIX = web.RequestKey("prefix", str)

Factory = Callable[
    [RawRequestMessage, StreamReader, web.RequestHandler, AbstractStreamWriter, "asyncio.Task[None]"], web.BaseRequest
]
"""aiohttp's request factory: makes a request from a parsed message."""


def prefix(request: web.Request) -> str:
    """The path prefix of a request: empty, or a path that begins, and does not end, with a slash."""
    found: str = request.get(_PREFIX, "")
    return found


def add_prefix(configured: str, make: Factory) -> Factory:
    """Wrap a request factory, so that requests have their prefix: the `configured` one, or that in the header of a
    proxy on this machine. The proxy may leave the configured prefix in the path, or remove it."""

    def make_with_prefix(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        forwarded = _read_forwarded(message, protocol)
        request = make(message if forwarded else _strip_prefix(configured, message), payload, protocol, writer, task)
        request[_PREFIX] = configured or forwarded
        return request

    return make_with_prefix


def locate(request: web.Request, response: web.StreamResponse) -> None:
    """Add the prefix to the path in a response's `Location` header."""
    if (location := response.headers.get(hdrs.LOCATION, "")).startswith("/"):
        response.headers[hdrs.LOCATION] = prefix(request) + location


def _read_forwarded(message: RawRequestMessage, protocol: web.RequestHandler) -> str:
    """The prefix in the header; empty without one, if the client is not on this machine, or if it is no path."""
    peer = protocol.peername
    forwarded = [value for name, value in message.headers.items() if name.lower() == FORWARDED]
    if not forwarded or not isinstance(peer, tuple) or not is_local(str(peer[0])):
        return ""
    try:
        return path_prefix(forwarded[-1].strip())  # some proxies add a line to what a client sent
    except ValueError:
        return ""


def _strip_prefix(configured: str, message: RawRequestMessage) -> RawRequestMessage:
    if not configured or not message.path.startswith(configured):
        return message
    remainder = message.path.removeprefix(configured)
    if remainder and remainder[0] not in "/?":
        return message  # another path that begins with the same letters
    remainder = remainder if remainder.startswith("/") else f"/{remainder}"
    path, _, query = remainder.partition("?")
    return message._replace(path=remainder, url=URL.build(path=path, query_string=query, encoded=True))
