"""Limits concurrent connections, in total and per client network: each takes a file handle, which recording needs,
too."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from unblur.web.transport.request_origin import client_network, is_local

MOST = 256
"""Concurrent connections in total."""
PER_NETWORK = 64
"""Concurrent connections of one client network; a browser opens six. A proxy on this machine has no such limit."""
RESERVED = 16
"""Connections reserved for probes and logins, however many clients are signed in."""


class ClientConnection(Protocol):
    """A connection that can be closed."""

    def force_close(self) -> None: ...


class ConnectionLimiter:
    """Counts connections per client network, and limits them: `most` in total, `per_network` per network, `reserved`
    for probes and logins. Connections whose last request was not authenticated, or that have sent none yet, are evicted
    for new ones, oldest first, so that they cannot block others. Not thread-safe."""

    def __init__(self, most: int = MOST, per_network: int = PER_NETWORK, reserved: int = RESERVED) -> None:
        self._most, self._per_network, self._reserved = most, per_network, reserved
        self._unauthenticated: dict[ClientConnection, str] = {}
        self._authenticated: dict[ClientConnection, str] = {}
        self._counts: Counter[str] = Counter()
        self.refused = 0
        """Number of connections refused, or closed to make room."""

    def enter(self, peer: str, connection: ClientConnection) -> bool:
        """Register a connection from the address `peer`; False if it exceeds the limits."""
        network = client_network(peer) or peer
        if self._counts[network] >= self._per_network and not is_local(peer):
            admitted = self._evict(network)
        else:
            admitted = self._counts.total() < self._most or self._evict(None)
        if admitted:
            self._unauthenticated[connection] = network
            self._counts[network] += 1
        else:
            self.refused += 1
        return admitted

    def leave(self, connection: ClientConnection) -> None:
        """Unregister a connection, if it is registered."""
        network = self._unauthenticated.pop(connection, None) or self._authenticated.pop(connection, None)
        if network is not None:
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]

    def mark_authenticated(self, connection: ClientConnection) -> bool:
        """Mark a connection as authenticated; False if only the reserved connections are left."""
        network = self._unauthenticated.get(connection)
        if network is None:
            return True
        if len(self._authenticated) >= self._most - self._reserved:
            self.refused += 1
            return False
        self._authenticated[connection] = self._unauthenticated.pop(connection)
        return True

    def mark_unauthenticated(self, connection: ClientConnection) -> None:
        """Mark a connection as not authenticated."""
        if connection in self._authenticated:
            self._unauthenticated[connection] = self._authenticated.pop(connection)

    def _evict(self, network: str | None) -> bool:
        """Close the oldest unauthenticated connection, of `network` or of all; False if there is none."""
        first = next(
            (each for each, its_network in self._unauthenticated.items() if network in (None, its_network)), None
        )
        if first is None:
            return False
        self.leave(first)
        first.force_close()
        self.refused += 1
        return True


ASKS_WITHIN_S = 15.0
"""Time limit for the complete head of a connection's first request."""

_IDLE_S = 75.0
"""Time limit between requests, including the arrival of the next head."""

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 15\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class LimitedSite(web.BaseSite):
    """Listens at an address; `limiter` decides which connections reach the application of `runner`."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, limiter: ConnectionLimiter) -> None:
        super().__init__(runner)
        self._host, self._port, self._limiter = host, port, limiter

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._make_handler, self._host, self._port, backlog=self._backlog)

    def _make_handler(self) -> LimitedRequestHandler:
        assert self._runner.server
        return LimitedRequestHandler(self._limiter, self._runner.server)


class LimitedRequestHandler(web.RequestHandler):
    """Handler of one connection. Requests under way have no time limit here."""

    def __init__(self, limiter: ConnectionLimiter, server: web.Server) -> None:
        self._event_loop = asyncio.get_running_loop()
        super().__init__(server, loop=self._event_loop, keepalive_timeout=_IDLE_S, access_log=None)  # type: ignore[arg-type]
        self._limiter = limiter
        self._first_request_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._limiter.enter(_peer(transport), self):
            self._first_request_timer = self._event_loop.call_later(ASKS_WITHIN_S, self._end_if_idle)
            super().connection_made(transport)
        else:
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._limiter.leave(self)
        if self._first_request_timer:
            self._first_request_timer.cancel()
        super().connection_lost(exc)

    def admit_request(self, is_known: bool) -> bool:
        """Mark the connection by its present request; False if it exceeds the limits."""
        if is_known:
            return self._limiter.mark_authenticated(self)
        self._limiter.mark_unauthenticated(self)
        return True

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log at debug level what is not HTTP: it is answered with 400, and is no error of the server."""
        if isinstance(kw.get("exc_info"), HttpProcessingError):
            self.log_debug(*args, **kw)
        else:
            super().log_exception(*args, **kw)

    def _end_if_idle(self) -> None:
        if not self._request_count:
            self.force_close()


def admit_request(request: web.Request, is_known: bool) -> bool:
    """Whether the limits allow this request; the connection of a client that is not signed in may be evicted later."""
    connection = request.protocol
    return not isinstance(connection, LimitedRequestHandler) or connection.admit_request(is_known)


def _peer(transport: asyncio.Transport) -> str:
    peer: Any = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
