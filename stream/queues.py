"""Queues between threads: a bounded one that waits (recordings), and a keyed one that drops and counts (live
cameras)."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Closable:
    """Base of the queues: a condition, and the closed state."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = False

    def close(self) -> None:
        """End the queue: no items will be added; the waiting ones may still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextmanager
    def closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.close()


class BoundedQueue(Closable, Generic[T]):
    """A bounded first-in, first-out queue that never drops.

    The producer waits while it is full, the consumer while it is empty. After `close`, the consumer gets the waiting
    items; `abort` discards them, and both sides stop at once.
    """

    def __init__(self, capacity: int = 4) -> None:
        super().__init__()
        self._items: deque[T] = deque()
        self._capacity = capacity

    def put(self, item: T) -> bool:
        """Wait for room and add the item; False if the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def abort(self) -> None:
        """Discard the waiting items, and close the queue."""
        with self._changed:
            self._items.clear()
        self.close()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._items))
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item


class LatestQueue(Closable, Generic[K, T]):
    """Keeps the newest item of each key, in the place of the one that it replaces. Items that are replaced, beyond
    `capacity`, or aborted are dropped and counted."""

    def __init__(self, capacity: int = 64) -> None:
        super().__init__()
        self._items: OrderedDict[K, T] = OrderedDict()
        self._capacity = capacity
        self._dropped = 0
        self._cancelled = False

    @property
    def dropped(self) -> int:
        return self._dropped

    def put(self, key: K, item: T) -> None:
        """Add an item. Never waits."""
        with self._changed:
            if self._cancelled:
                self._dropped += 1
                return
            if key in self._items:
                self._dropped += 1
            elif len(self._items) >= self._capacity:
                self._items.popitem(last=False)
                self._dropped += 1
            self._items[key] = item
            self._changed.notify_all()

    def get_batch(self, timeout_s: float | None = None, most: int | None = None) -> list[T]:
        """Take the waiting items, oldest first, at most `most`. Waits for one; empty after `timeout_s`, or when the
        queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._items), timeout_s)
            taken = len(self._items) if most is None else min(most, len(self._items))
            return [self._items.popitem(last=False)[1] for _ in range(taken)]

    def pending_keys(self) -> frozenset[K]:
        """The keys of the waiting items."""
        with self._changed:
            return frozenset(self._items)

    def abort(self) -> None:
        """Drop all waiting items, and all that are put from now on; close the queue."""
        with self._changed:
            self._dropped += len(self._items)
            self._items.clear()
            self._cancelled = True
        self.close()

    @property
    def closed(self) -> bool:
        """Whether the queue is closed and empty."""
        with self._changed:
            return self._closed and not self._items
