"""Counting what happens and how long it takes; shared by all threads, bounded in memory."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

_AGES_KEPT = 8192


@dataclass(frozen=True, slots=True)
class Reading:
    """A meter's state: counts by name, seconds of wall time by stage, and frame ages (p50, p95, p99, seconds)."""

    counts: dict[str, int]
    seconds: dict[str, float]
    frame_age_s: tuple[float, float, float] | None


class Meter:
    """Counts, stage times and frame ages of a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._ages: deque[float] = deque(maxlen=_AGES_KEPT)

    def count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self._counts[what] += number

    def age(self, seconds: float) -> None:
        """How old a live frame is at the overlay."""
        with self._lock:
            self._ages.append(seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            with self._lock:
                self._seconds[name] += elapsed

    def read(self) -> Reading:
        with self._lock:
            return Reading(dict(self._counts), dict(self._seconds), _percentiles(self._ages))


def _percentiles(ages: deque[float]) -> tuple[float, float, float] | None:
    if not ages:
        return None
    p50, p95, p99 = (float(value) for value in np.percentile(ages, [50, 95, 99]))
    return p50, p95, p99
