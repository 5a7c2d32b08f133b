"""Queue of the samples of live cameras that wait for identification: their order, and which are dropped."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from stream.queues import Closable
from stream.results import FaceSample
from stream.values import Track

ALIKE = 6
"""Tracks that were taken so often or more have equal rank: an old track must not wait for all new ones."""

Key = tuple[str, int]
"""Camera and track."""


class Waiting(NamedTuple):
    """A sample, and when it was put (seconds, monotonic)."""

    sample: FaceSample
    since_s: float


class SampleQueue(Closable):
    """Keeps the newest sample of each track, in the place of the one that it replaces. Tracks that were taken less
    often come first, so that each visible person is identified once before any is identified twice.

    Samples that are replaced, too old, beyond `capacity`, or cancelled are dropped, and counted by camera.
    """

    def __init__(self, capacity: int = 256, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._capacity = capacity
        self._waiting: OrderedDict[Key, Waiting] = OrderedDict()
        self._taken: Counter[Key] = Counter()
        self._dropped: Counter[str] = Counter()
        self._cancelled = False

    def dropped(self, camera: str) -> int:
        """How many samples of a camera were dropped."""
        with self._changed:
            return self._dropped[camera]

    def put(self, sample: FaceSample) -> None:
        """Add a sample. Never waits."""
        key = sample.track.camera, sample.track.id
        with self._changed:
            if self._cancelled:
                self._dropped[key[0]] += 1
                return
            before = self._waiting.get(key)
            if before:
                self._dropped[key[0]] += 1
            elif len(self._waiting) >= self._capacity:
                self._drop(max(self._waiting, key=self._rank))
            self._waiting[key] = Waiting(sample, before.since_s if before else self._clock())
            self._changed.notify_all()

    def take(self, timeout_s: float, most: int, oldest_s: float = math.inf) -> list[Waiting]:
        """Take at most `most` samples, of the least often taken tracks first. Waits for one; empty after `timeout_s`,
        or when the queue is closed. A sample whose frame arrived more than `oldest_s` seconds ago is dropped."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting), timeout_s)
            self._drop_stale(oldest_s)
            chosen = sorted(self._waiting, key=self._rank)[:most]
            self._taken.update(chosen)
            return [self._waiting.pop(key) for key in chosen]

    def waiting(self) -> frozenset[Key]:
        """The tracks with a waiting sample."""
        with self._changed:
            return frozenset(self._waiting)

    def forget(self, track: Track) -> None:
        """Forget a track that has ended."""
        with self._changed:
            self._taken.pop((track.camera, track.id), None)

    def cancel(self) -> None:
        """Drop all waiting samples, and all that are put from now on; close the queue."""
        with self._changed:
            for key in list(self._waiting):
                self._drop(key)
            self._cancelled = True
        self.close()

    @property
    def closed(self) -> bool:
        """Whether the queue is closed and empty."""
        with self._changed:
            return self._closed and not self._waiting

    def _rank(self, key: Key) -> int:
        return min(ALIKE, self._taken[key])

    def _drop_stale(self, oldest_s: float) -> None:
        now = self._clock()
        for key, (sample, _) in list(self._waiting.items()):
            arrived_s = sample.moment.arrived_s
            if arrived_s is not None and now - arrived_s > oldest_s:
                self._drop(key)

    def _drop(self, key: Key) -> None:
        self._dropped[key[0]] += 1
        del self._waiting[key]
