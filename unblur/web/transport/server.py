"""Runs a web application on a separate thread with its own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aiohttp import web

from stream.errors import OutputError
from stream.threads import SupervisedThread
from unblur.web.transport.connection_limits import ConnectionLimiter, LimitedSite
from unblur.web.transport.path_prefix import add_prefix

T = TypeVar("T")


class Server:
    """Serves an application from `open` to `close`. `loop` is its event loop."""

    def __init__(self, prefix: str = "") -> None:
        """`prefix` is the path under which a proxy publishes the application; empty: none configured."""
        self._prefix = prefix
        self.loop = asyncio.new_event_loop()
        self._limiter = ConnectionLimiter()
        self._runner: web.AppRunner | None = None
        self._thread = SupervisedThread("web", self._run)
        self._thread.start()

    def open(self, host: str, port: int, application: Callable[[], web.Application]) -> None:
        """Serve `application`, which is called on the loop. Raises OutputError if the address is taken, or does not
        belong to this machine."""
        try:
            self._runner = self._wait(self._start(host, port, application))
        except OSError as error:
            raise OutputError(
                f"http://{host}:{port} cannot be served: {error.strerror}; take another --port"
            ) from error

    @property
    def address(self) -> str:
        """The URL, once it is open."""
        assert self._runner
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def refused(self) -> int:
        """Number of connections refused for lack of room."""
        return self._limiter.refused

    def close(self) -> None:
        """Let the requests under way finish, and stop."""
        if self._runner:
            self._wait(self._runner.cleanup())
        self._stop_loop()

    async def _start(self, host: str, port: int, application: Callable[[], web.Application]) -> web.AppRunner:
        runner = web.AppRunner(application(), shutdown_timeout=2)
        await runner.setup()
        assert runner.server
        runner.server.request_factory = add_prefix(self._prefix, runner.server.request_factory)
        try:
            await LimitedSite(runner, host, port, self._limiter).start()
        except OSError:
            await runner.cleanup()
            raise
        return runner

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def _stop_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.close()

    def _run(self) -> None:
        self.loop.run_forever()
        self.loop.run_until_complete(_cancel_all())
        self.loop.close()


async def _cancel_all() -> None:
    """Cancel all tasks: connections that were never established would wait forever."""
    pending = asyncio.all_tasks() - {asyncio.current_task()}
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()
