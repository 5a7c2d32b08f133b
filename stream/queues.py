"""Hand-overs between threads: one that waits (recorded footage), one that drops and counts (live cameras)."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Closable:
    """What both kinds share: a lock, and the word that nothing more will come."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = False

    def close(self) -> None:
        """Nothing more will come; the taker finishes what lies here."""
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
    """A bounded first-in, first-out hand-over that never drops.

    The giver waits while it is full, the taker while it is empty. Closing lets the taker finish what lies there;
    cancelling empties it, and both sides stop at once.
    """

    def __init__(self, capacity: int = 4) -> None:
        super().__init__()
        self._items: deque[T] = deque()
        self._capacity = capacity

    def put(self, item: T) -> bool:
        """Wait for room and hand over; False if nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def abort(self) -> None:
        """Nobody needs what lies here."""
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
    """The newest item of each key wins, in the turn of the one that it replaces. What is replaced, falls out at too
    many keys, or is not needed any more, is counted."""

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
        """Never waits."""
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
        """What waits, oldest first, all of it or so many at most. Waits for the first; empty when time is up or all is
        closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._items), timeout_s)
            taken = len(self._items) if most is None else min(most, len(self._items))
            return [self._items.popitem(last=False)[1] for _ in range(taken)]

    def pending_keys(self) -> frozenset[K]:
        """The keys of what waits."""
        with self._changed:
            return frozenset(self._items)

    def abort(self) -> None:
        """Nobody needs what lies here, or is put here from now on."""
        with self._changed:
            self._dropped += len(self._items)
            self._items.clear()
            self._cancelled = True
        self.close()

    @property
    def closed(self) -> bool:
        """Closed, and empty."""
        with self._changed:
            return self._closed and not self._items
