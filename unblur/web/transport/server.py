"""A web application on a thread of its own, beside the pipeline's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aiohttp import web

from stream.errors import OutputError
from stream.threads import SupervisedThread
from unblur.web.transport.connection_limits import ConnectionLimiter, LimitedSite
from unblur.web.transport.path_prefix import prefixed

T = TypeVar("T")


class Server:
    """Serves from its opening until it is closed. `loop` is where everything asynchronous happens."""

    def __init__(self, prefix: str = "") -> None:
        """`prefix` is the path below which a proxy publishes what is served; empty: none that is known before."""
        self._prefix = prefix
        self.loop = asyncio.new_event_loop()
        self._crowd = ConnectionLimiter()
        self._runner: web.AppRunner | None = None
        self._thread = SupervisedThread("web", self._run)
        self._thread.start()

    def open(self, host: str, port: int, application: Callable[[], web.Application]) -> None:
        """Serve `application`, which is made on the loop. Raises OutputError if the address is taken, or is none of
        this machine's."""
        try:
            self._runner = self._wait(self._started(host, port, application))
        except OSError as error:
            raise OutputError(
                f"http://{host}:{port} cannot be served: {error.strerror}; take another --port"
            ) from error

    @property
    def address(self) -> str:
        """Where it can be reached, once it is open."""
        assert self._runner
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def refused(self) -> int:
        """Connections for which there was no room."""
        return self._crowd.refused

    def close(self) -> None:
        """Let the requests at hand finish, and stop."""
        if self._runner:
            self._wait(self._runner.cleanup())
        self._end()

    async def _started(self, host: str, port: int, application: Callable[[], web.Application]) -> web.AppRunner:
        runner = web.AppRunner(application(), shutdown_timeout=2)
        await runner.setup()
        assert runner.server
        runner.server.request_factory = prefixed(self._prefix, runner.server.request_factory)
        try:
            await LimitedSite(runner, host, port, self._crowd).start()
        except OSError:
            await runner.cleanup()
            raise
        return runner

    def _wait(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.close()

    def _run(self) -> None:
        self.loop.run_forever()
        self.loop.run_until_complete(_rest())
        self.loop.close()


async def _rest() -> None:
    """Nothing stays: connections that never came about would wait for ever."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()
