"""Samples (crops of faces) of live cameras on their way to identification: what comes first, and what is left out."""

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
"""Tracks that were taken as often or more are alike: the longest in the picture must not wait for all who come."""

Key = tuple[str, int]
"""Camera and track."""


class Waiting(NamedTuple):
    """A sample, and when it was handed over (seconds, monotonic)."""

    look: FaceSample
    since_s: float


class SampleQueue(Closable):
    """The newest sample of each track, in the turn of the one that it replaces. Tracks that were taken less often come
    first, so that everybody visible is identified once before anybody is twice.

    What is replaced, is too old, falls out at too many tracks, or is not needed any more, is counted by camera.
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
        """How many samples of a camera were never identified."""
        with self._changed:
            return self._dropped[camera]

    def put(self, look: FaceSample) -> None:
        """Never waits."""
        key = look.track.camera, look.track.id
        with self._changed:
            if self._cancelled:
                self._dropped[key[0]] += 1
                return
            before = self._waiting.get(key)
            if before:
                self._dropped[key[0]] += 1
            elif len(self._waiting) >= self._capacity:
                self._drop(max(self._waiting, key=self._rank))
            self._waiting[key] = Waiting(look, before.since_s if before else self._clock())
            self._changed.notify_all()

    def take(self, timeout_s: float, most: int, oldest_s: float = math.inf) -> list[Waiting]:
        """So many at most, those that were taken least first. Waits for the first; empty when time is up or all is
        closed. A sample whose picture arrived more than `oldest_s` ago is dropped."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting), timeout_s)
            self._drop_stale(oldest_s)
            chosen = sorted(self._waiting, key=self._rank)[:most]
            self._taken.update(chosen)
            return [self._waiting.pop(key) for key in chosen]

    def waiting(self) -> frozenset[Key]:
        """The tracks of which a sample waits."""
        with self._changed:
            return frozenset(self._waiting)

    def forget(self, track: Track) -> None:
        """The track has ended."""
        with self._changed:
            self._taken.pop((track.camera, track.id), None)

    def cancel(self) -> None:
        """Nobody needs what lies here, or is put here from now on."""
        with self._changed:
            for key in list(self._waiting):
                self._drop(key)
            self._cancelled = True
        self.close()

    @property
    def closed(self) -> bool:
        """Closed, and empty."""
        with self._changed:
            return self._closed and not self._waiting

    def _rank(self, key: Key) -> int:
        return min(ALIKE, self._taken[key])

    def _drop_stale(self, oldest_s: float) -> None:
        now = self._clock()
        for key, (look, _) in list(self._waiting.items()):
            arrived_s = look.moment.arrived_s
            if arrived_s is not None and now - arrived_s > oldest_s:
                self._drop(key)

    def _drop(self, key: Key) -> None:
        self._dropped[key[0]] += 1
        del self._waiting[key]
