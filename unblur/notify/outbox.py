"""From the pipeline's threads to a loop of its own, where somebody may be slow."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from stream.data import Event

CAPACITY = 1000
"""Events that may wait; of more, the oldest are lost, and counted."""
GRACE_S = 3.0
"""What is left to say at the end has this long."""


class Outbox:
    """Events that wait to be taken by `deliver`, which runs on a thread of its own from `open` to `close`."""

    def __init__(self, name: str, deliver: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._deliver = deliver
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()
        self._loop = asyncio.SelectorEventLoop()  # paho watches sockets itself, which Windows' own loop cannot
        self._changed, self._ending = asyncio.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.closing = False
        self.lost = 0

    def open(self) -> None:
        self._thread.start()

    def put(self, event: Event) -> None:
        """Never waits."""
        with self._lock:
            if len(self._events) == CAPACITY:
                self._events.popleft()
                self.lost += 1
            self._events.append(event)
        self._tell(self._changed)

    def close(self) -> None:
        """There will be no more events: `deliver` has `GRACE_S` for those that are left."""
        self.closing = True
        self._tell(self._changed)
        self._tell(self._ending)
        if self._thread.ident is not None:
            self._thread.join()
        self._loop.close()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._events)

    async def take(self) -> Event | None:
        """The oldest event, once there is one; None at the end."""
        while True:
            self._changed.clear()
            with self._lock:
                if self._events:
                    return self._events.popleft()
            if self.closing:
                return None
            await self._changed.wait()

    async def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    def _tell(self, news: asyncio.Event) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody waits there
            self._loop.call_soon_threadsafe(news.set)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_closed())

    async def _until_closed(self) -> None:
        delivering = asyncio.create_task(self._deliver())
        delivering.add_done_callback(lambda _: self._ending.set())
        await self._ending.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(delivering, GRACE_S)
