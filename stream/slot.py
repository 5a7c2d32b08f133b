"""A place for one value: the newest wins, and what it replaced unseen is counted."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """Hands the newest value from one thread to another; neither ever waits for a queue to drain."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._value: T | None = None
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many values were replaced before anybody took them."""
        return self._dropped

    def put(self, value: T) -> None:
        with self._changed:
            self._dropped += self._value is not None
            self._value = value
            self._changed.notify()

    def take(self) -> T | None:
        """The newest value not yet taken, waiting for one if need be; None once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._value is not None)
            value, self._value = self._value, None
            return None if self._closed else value

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
