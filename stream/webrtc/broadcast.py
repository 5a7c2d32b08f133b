"""Broadcast of a camera's newest frame to any number of encoders, each at its own rate."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

from stream.values import Image


@dataclass(frozen=True, slots=True, eq=False)
class BroadcastFrame:
    """An annotated image (BGR), its number in the broadcast, and when it was shown (seconds, monotonic)."""

    number: int
    when_s: float
    image: Image


class FrameBroadcast:
    """Takes images from a renderer's thread and gives them to encoders on `loop`; a slow encoder skips images and does
    not delay the others. Holds one image for all encoders, and none without encoders."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._newest: BroadcastFrame | None = None
        self._number = 0
        self._viewers = 0
        self._closed = False
        self._notified = True
        self._changed = asyncio.Event()

    def show(self, image: Image) -> None:
        """Publish an image. Never waits."""
        if not self.watched:
            return
        self._number += 1
        shown = BroadcastFrame(self._number, time.monotonic(), image)
        with self._lock:
            self._newest, notified, self._notified = shown, self._notified, False
        if notified:  # else a notification is pending; more would overload the loop
            self._loop.call_soon_threadsafe(self._notify)

    @property
    def watched(self) -> bool:
        """Whether any encoder reads."""
        return self._viewers > 0 and not self._closed

    def close(self) -> None:
        """End the broadcast, and wake the waiting encoders. May be called from any thread."""
        if not self._closed:
            self._closed = True
            self._loop.call_soon_threadsafe(self._notify)

    async def newer(self, than: int) -> BroadcastFrame | None:
        """Wait for an image with a number above `than`; None once the broadcast is closed."""
        while not self._closed:
            if (newest := self._newest) and newest.number > than:
                return newest
            await self._changed.wait()
        return None

    def enter(self) -> None:
        """Count one more encoder. Called on the loop, like `leave`."""
        self._viewers += 1

    def leave(self) -> None:
        """Count one encoder fewer. After the last one, the image is dropped: the next must not start with an old
        one."""
        self._viewers -= 1
        if not self._viewers:
            self._newest = None

    def _notify(self) -> None:
        with self._lock:
            self._notified = True
        waited, self._changed = self._changed, asyncio.Event()
        waited.set()
