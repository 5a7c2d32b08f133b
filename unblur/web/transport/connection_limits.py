"""Who is connected, and who is one too many: each connection takes a handle, of which the recording needs some too."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from unblur.web.transport.request_origin import client_network, is_local

MOST = 256
"""Connections at once, in all,"""
OF_ONE = 64
"""and from one address; a browser has six. A proxy on this machine speaks for everybody, and may have them all."""
KEPT = 16
"""Of all: no matter how many are signed in, so many are left for probes, and for signing in."""


class ClientConnection(Protocol):
    """A connection that can be ended."""

    def force_close(self) -> None: ...


class ConnectionLimiter:
    """Counts connections by where they come from. Those whose last request proved nothing (none has come yet, or who
    asked is not signed in) make room for others, the one that came first before the rest: so none of them keeps anybody
    out. Used by one thread."""

    def __init__(self, most: int = MOST, of_one: int = OF_ONE, kept: int = KEPT) -> None:
        self._most, self._of_one, self._kept = most, of_one, kept
        self._unproved: dict[ClientConnection, str] = {}
        self._proved: dict[ClientConnection, str] = {}
        self._inside: Counter[str] = Counter()
        self.refused = 0
        """Connections that were turned away, or ended to make room."""

    def enter(self, peer: str, connection: ClientConnection) -> bool:
        """One more from there; False if that is one too many."""
        here = client_network(peer) or peer
        if self._inside[here] >= self._of_one and not is_local(peer):
            is_in = self._displace(here)
        else:
            is_in = self._inside.total() < self._most or self._displace(None)
        if is_in:
            self._unproved[connection] = here
            self._inside[here] += 1
        else:
            self.refused += 1
        return is_in

    def leave(self, connection: ClientConnection) -> None:
        """One less, if it is still among those who entered."""
        here = self._unproved.pop(connection, None) or self._proved.pop(connection, None)
        if here is not None:
            self._inside[here] -= 1
            if not self._inside[here]:
                del self._inside[here]

    def prove(self, connection: ClientConnection) -> bool:
        """Whoever asks is signed in; False if so many are that there would be no place for probes."""
        here = self._unproved.get(connection)
        if here is None:
            return True
        if len(self._proved) >= self._most - self._kept:
            self.refused += 1
            return False
        self._proved[connection] = self._unproved.pop(connection)
        return True

    def disprove(self, connection: ClientConnection) -> None:
        """Whoever asks now is not signed in."""
        if connection in self._proved:
            self._unproved[connection] = self._proved.pop(connection)

    def _displace(self, here: str | None) -> bool:
        """End one that proved nothing, of `here` or of all; whether there was one."""
        first = next((each for each, where in self._unproved.items() if here in (None, where)), None)
        if first is None:
            return False
        self.leave(first)
        first.force_close()
        self.refused += 1
        return True


ASKS_WITHIN_S = 15.0
"""A connection's first request is there, with its whole head."""

_IDLE_S = 75.0
"""Between one request and the next, also while its head comes in."""

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 15\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class LimitedSite(web.BaseSite):
    """Listens at an address, and lets `crowd` in to the application of `runner`."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, crowd: ConnectionLimiter) -> None:
        super().__init__(runner)
        self._host, self._port, self._crowd = host, port, crowd

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._comer, self._host, self._port, backlog=self._backlog)

    def _comer(self) -> LimitedRequestHandler:
        assert self._runner.server
        return LimitedRequestHandler(self._crowd, self._runner.server)


class LimitedRequestHandler(web.RequestHandler):
    """A connection: what is under way in it takes as long as it takes."""

    def __init__(self, crowd: ConnectionLimiter, server: web.Server) -> None:
        self._running = asyncio.get_running_loop()
        super().__init__(server, loop=self._running, keepalive_timeout=_IDLE_S, access_log=None)  # type: ignore[arg-type]
        self._crowd = crowd
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._crowd.enter(_peer(transport), self):
            self._patience = self._running.call_later(ASKS_WITHIN_S, self._end_if_idle)
            super().connection_made(transport)
        else:
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._crowd.leave(self)
        if self._patience:
            self._patience.cancel()
        super().connection_lost(exc)

    def prove(self, is_known: bool) -> bool:
        """Whether there is a place for what is asked here, by somebody who is known or is not."""
        if is_known:
            return self._crowd.prove(self)
        self._crowd.disprove(self)
        return True

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What does not speak HTTP is answered with 400, and is no fault of ours to be reported."""
        if isinstance(kw.get("exc_info"), HttpProcessingError):
            self.log_debug(*args, **kw)
        else:
            super().log_exception(*args, **kw)

    def _end_if_idle(self) -> None:
        if not self._request_count:
            self.force_close()


def has_place(request: web.Request, is_known: bool) -> bool:
    """Whether its connection has a place for this request; that of somebody who is not known may end for another."""
    connection = request.protocol
    return not isinstance(connection, LimitedRequestHandler) or connection.prove(is_known)


def _peer(transport: asyncio.Transport) -> str:
    peer: Any = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
