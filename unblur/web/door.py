"""Where connections come in: only so many at once, and none that asks for nothing. aiohttp limits neither."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from unblur.web.crowd import Crowd

ASKS_WITHIN_S = 15.0
"""A connection's first request is there, with its whole head."""
_IDLE_S = 75.0
"""Between one request and the next, also while its head comes in."""
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 15\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Door(web.BaseSite):
    """Listens at an address, and lets `crowd` in to the application of `runner`."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, crowd: Crowd) -> None:
        super().__init__(runner)
        self._host, self._port, self._crowd = host, port, crowd

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._comer, self._host, self._port, backlog=self._backlog)

    def _comer(self) -> _Comer:
        assert self._runner.server
        return _Comer(self._crowd, self._runner.server)


class _Comer(web.RequestHandler):
    """A connection: what is under way in it takes as long as it takes."""

    def __init__(self, crowd: Crowd, server: web.Server) -> None:
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
    return not isinstance(connection, _Comer) or connection.prove(is_known)


def _peer(transport: asyncio.Transport) -> str:
    peer: Any = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
