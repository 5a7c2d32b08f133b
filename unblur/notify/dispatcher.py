"""From the pipeline's threads to a loop of its own, where somebody may be slow."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog

from stream.results import Event
from stream.threads import SupervisedThread

_log = structlog.get_logger(__name__)
CAPACITY = 1000
"""Events that may wait; of more, the oldest are lost, and counted."""
GRACE_S = 3.0
"""What is left to say at the end has this long."""


class Dispatcher:
    """Events that wait to be taken by `deliver`, which runs on a thread of its own from `open` to `close`, and again
    where it raises what it should not: the event that it had taken last is then lost, and counted."""

    def __init__(self, name: str, deliver: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name, self._deliver = name, deliver
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()
        self._loop = asyncio.SelectorEventLoop()  # paho watches sockets itself, which Windows' own loop cannot
        self._changed, self._ending = asyncio.Event(), asyncio.Event()
        self._thread = SupervisedThread(name, self._run)
        self._in_hand = False
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
        self._thread.close()
        if self._events:
            _log.warning("events were not delivered before the end", to=self._name, events=len(self._events))
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._events)

    async def take(self) -> Event | None:
        """The oldest event, once there is one; None at the end."""
        while True:
            self._changed.clear()
            with self._lock:
                self._in_hand = bool(self._events)
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
        self.lost += self._in_hand
        self._in_hand = False
        try:
            self._loop.run_until_complete(self._until_closed())
        finally:
            self._loop.run_until_complete(_cancel_all())

    async def _until_closed(self) -> None:
        """Raises what `deliver` raises."""
        delivering, ending = asyncio.create_task(self._deliver()), asyncio.create_task(self._ending.wait())
        await asyncio.wait((delivering, ending), return_when=asyncio.FIRST_COMPLETED)
        with suppress(TimeoutError):
            await asyncio.wait_for(delivering, GRACE_S)


async def _cancel_all() -> None:
    """Nothing stays on the loop, whether it is run again or closed."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
