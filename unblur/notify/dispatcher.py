"""Queue between the pipeline's threads and a notifier's own event loop, which may be slow."""

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
"""Maximum number of waiting events; beyond it the oldest are dropped and counted."""
GRACE_S = 3.0
"""Seconds for delivering the remaining events at the end."""


class Dispatcher:
    """Queue of events for the coroutine `deliver`, which runs on its own thread from `open` to `close`. After an
    unexpected error it is restarted; the event that it had taken last is then dropped and counted."""

    def __init__(self, name: str, deliver: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name, self._deliver = name, deliver
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()
        self._loop = asyncio.SelectorEventLoop()  # for paho's socket callbacks, unsupported by the Proactor loop
        self._changed, self._ending = asyncio.Event(), asyncio.Event()
        self._thread = SupervisedThread(name, self._run)
        self._has_taken = False
        self.closing = False
        self.dropped = 0

    def open(self) -> None:
        self._thread.start()

    def put(self, event: Event) -> None:
        """Add an event without blocking; drops the oldest if the queue is full."""
        with self._lock:
            if len(self._events) == CAPACITY:
                self._events.popleft()
                self.dropped += 1
            self._events.append(event)
        self._set_event(self._changed)

    def close(self) -> None:
        """Accept no more events; `deliver` has `GRACE_S` for the remaining ones."""
        self.closing = True
        self._set_event(self._changed)
        self._set_event(self._ending)
        self._thread.close()
        if self._events:
            _log.warning("events were not delivered before the end", to=self._name, events=len(self._events))
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def __len__(self) -> int:
        """The number of waiting events."""
        return len(self._events)

    async def take(self) -> Event | None:
        """Wait for the oldest event and remove it; None at the end."""
        while True:
            self._changed.clear()
            with self._lock:
                self._has_taken = bool(self._events)
                if self._events:
                    return self._events.popleft()
            if self.closing:
                return None
            await self._changed.wait()

    async def pause(self, seconds: float) -> None:
        """Sleep for `seconds`, or until `close`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    def _set_event(self, signal: asyncio.Event) -> None:
        with suppress(RuntimeError):  # the loop is closed, so nothing waits for it
            self._loop.call_soon_threadsafe(signal.set)

    def _run(self) -> None:
        self.dropped += self._has_taken
        self._has_taken = False
        try:
            self._loop.run_until_complete(self._until_closed())
        finally:
            self._loop.run_until_complete(_cancel_all())

    async def _until_closed(self) -> None:
        """Run `deliver` until its end, or until `GRACE_S` after `close`. Raises what `deliver` raises."""
        delivering, ending = asyncio.create_task(self._deliver()), asyncio.create_task(self._ending.wait())
        await asyncio.wait((delivering, ending), return_when=asyncio.FIRST_COMPLETED)
        with suppress(TimeoutError):
            await asyncio.wait_for(delivering, GRACE_S)


async def _cancel_all() -> None:
    """Cancel all tasks of the loop, before it is run again or closed."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
