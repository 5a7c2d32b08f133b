"""The newest picture of a camera, for any number of encoders, each at its own pace."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

from stream.values import Image


@dataclass(frozen=True, slots=True, eq=False)
class BroadcastFrame:
    """A finished picture (BGR): the how manieth of its screen, and when it was finished (seconds, monotonic)."""

    number: int
    when_s: float
    image: Image


class FrameBroadcast:
    """Takes pictures from a composer's thread and gives them to encoders on `loop`: one that is slow misses some, and
    delays nobody. It holds one picture, however many encoders there are, and none where nobody watches."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._newest: BroadcastFrame | None = None
        self._number = 0
        self._viewers = 0
        self._closed = False
        self._told = True
        self._changed = asyncio.Event()

    def show(self, image: Image) -> None:
        """Put a picture up. Never waits."""
        if not self.watched:
            return
        self._number += 1
        shown = BroadcastFrame(self._number, time.monotonic(), image)
        with self._lock:
            self._newest, told, self._told = shown, self._told, False
        if told:  # else the loop will look anyway, and must not be handed work faster than it works
            self._loop.call_soon_threadsafe(self._tell)

    @property
    def watched(self) -> bool:
        """Whether anybody looks."""
        return self._viewers > 0 and not self._closed

    def close(self) -> None:
        """There will be no more pictures; whoever waits for one is told. May be called from any thread."""
        if not self._closed:
            self._closed = True
            self._loop.call_soon_threadsafe(self._tell)

    async def newer(self, than: int) -> BroadcastFrame | None:
        """The newest picture, as soon as it is newer than the `than`-th; None once the screen is closed."""
        while not self._closed:
            if (newest := self._newest) and newest.number > than:
                return newest
            await self._changed.wait()
        return None

    def enter(self) -> None:
        """An encoder more. Called on the loop, as is `leave`."""
        self._viewers += 1

    def leave(self) -> None:
        """An encoder less. The last one takes the picture along: the next must not begin with an old one."""
        self._viewers -= 1
        if not self._viewers:
            self._newest = None

    def _tell(self) -> None:
        with self._lock:
            self._told = True
        waited, self._changed = self._changed, asyncio.Event()
        waited.set()
