"""Counting what happens and how long it takes; shared by all threads, bounded in memory."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

_AGES_KEPT = 8192
_TIMES_KEPT = 256
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Up to which times of a stage are counted, in seconds."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a stage took: `seconds` in all, p50 and p95 of the latest times, and how many of all times reached up to
    each of `BOUNDS_S` and no lower one, with those that took longer at the end."""

    seconds: float
    p50_s: float
    p95_s: float
    buckets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A meter's state: counts by name, the same by name and camera ("" where it is not known), stages by name, and
    frame ages (p50, p95, p99, seconds)."""

    counts: dict[str, int]
    by_camera: dict[tuple[str, str], int]
    stages: dict[str, Timing]
    frame_age_s: tuple[float, float, float] | None

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time by stage."""
        return {name: timing.seconds for name, timing in self.stages.items()}


@dataclass(slots=True)
class _Stage:
    seconds: float = 0.0
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=_TIMES_KEPT))
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))

    def add(self, elapsed: float) -> None:
        self.seconds += elapsed
        self.latest.append(elapsed)
        self.buckets[bisect_left(BOUNDS_S, elapsed)] += 1


class Meter:
    """Counts, stage times and frame ages of a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._followed: list[tuple[tuple[str, str], Callable[[], int]]] = []
        self._stages: defaultdict[str, _Stage] = defaultdict(_Stage)
        self._ages: deque[float] = deque(maxlen=_AGES_KEPT)

    def count(self, what: str, number: int = 1, camera: str = "") -> None:
        with self._lock:
            self._counts[what, camera] += number

    def follow(self, what: str, number: Callable[[], int], camera: str = "") -> None:
        """Count what somebody else counts already: `number` is asked at each reading, by any thread."""
        with self._lock:
            self._followed.append(((what, camera), number))

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
                self._stages[name].add(elapsed)

    def read(self) -> Reading:
        with self._lock:
            counts, followed, ages = self._counts.copy(), list(self._followed), list(self._ages)
            stages = {
                name: (each.seconds, list(each.latest), tuple(each.buckets)) for name, each in self._stages.items()
            }
        for key, number in followed:
            counts[key] += number()
        return Reading(_by_name(counts), dict(counts), _timings(stages), _percentiles(ages))


def _by_name(counts: Counter[tuple[str, str]]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for (what, _), number in counts.items():
        totals[what] += number
    return dict(totals)


def _timings(stages: Mapping[str, tuple[float, list[float], tuple[int, ...]]]) -> dict[str, Timing]:
    timings = {}
    for name, (seconds, latest, buckets) in stages.items():
        p50, p95 = (float(value) for value in np.percentile(latest, [50, 95]))
        timings[name] = Timing(seconds, p50, p95, buckets)
    return timings


def _percentiles(ages: Sequence[float]) -> tuple[float, float, float] | None:
    if not ages:
        return None
    p50, p95, p99 = (float(value) for value in np.percentile(ages, [50, 95, 99]))
    return p50, p95, p99
