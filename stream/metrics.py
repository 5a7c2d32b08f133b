"""Metrics of a run: counters, stage times, frame ages and delays; thread-safe, bounded in memory."""

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
RATE_OVER_S = 10.0
"""Period over which rates are averaged, in seconds."""
DELAYS_OVER_S = 60.0
"""Period of the reported delays, in seconds."""
_LATEST_KEPT = 4096
"""Of each camera; 60 a second for a minute."""
_TIMES_KEPT = 256
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the histogram buckets of stage times, in seconds."""


@dataclass(frozen=True, slots=True)
class StageTiming:
    """How long a stage took: `seconds` in all, p50 and p95 of the latest times, and how many of all times reached up to
    each of `BOUNDS_S` and no lower one, with those that took longer at the end."""

    seconds: float
    p50_s: float
    p95_s: float
    buckets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """A meter's state: counts by name, the same by name and camera ("" where it is not known), stages by name, and
    frame ages (p50, p95, p99, seconds); by live camera, how many of its pictures are searched a second, and how long it
    takes from a picture to a name (p95 of the latest minute, seconds; no entry without identifications)."""

    counts: dict[str, int]
    by_camera: dict[tuple[str, str], int]
    stages: dict[str, StageTiming]
    frame_age_s: tuple[float, float, float] | None
    searched_fps: Mapping[str, float] = field(default_factory=dict)
    delay_p95_s: Mapping[str, float] = field(default_factory=dict)

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


class _Latest:
    """Values with the moments (seconds) at which they came, back to `over_s` ago."""

    def __init__(self, over_s: float, began_s: float) -> None:
        self._over_s, self._began_s = over_s, began_s
        self._values: deque[tuple[float, float]] = deque(maxlen=_LATEST_KEPT)

    def add(self, now: float, value: float) -> None:
        self._values.append((now, value))

    def values(self, now: float) -> list[float]:
        while self._values and now - self._values[0][0] > self._over_s:
            self._values.popleft()
        return [value for _, value in self._values]

    def rate(self, now: float) -> float:
        """Number of values per second."""
        return len(self.values(now)) / max(1.0, min(self._over_s, now - self._began_s))


class StageMetrics:
    """Counts, stage times and frame ages of a run. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._searches: dict[str, _Latest] = {}
        self._delays: dict[str, _Latest] = {}
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._followed: list[tuple[tuple[str, str], Callable[[], int]]] = []
        self._stages: defaultdict[str, _Stage] = defaultdict(_Stage)
        self._ages: deque[float] = deque(maxlen=_AGES_KEPT)

    def count(self, what: str, number: int = 1, camera: str = "") -> None:
        with self._lock:
            self._counts[what, camera] += number

    def observe_counter(self, what: str, number: Callable[[], int], camera: str = "") -> None:
        """Add a counter that is kept elsewhere: `number` is called at each `read`, by any thread."""
        with self._lock:
            self._followed.append(((what, camera), number))

    def record_search(self, camera: str) -> None:
        """Record a search for faces in a frame of a camera."""
        self.count("detections", camera=camera)
        self._note(self._searches, RATE_OVER_S, camera, 1.0)

    def record_delay(self, camera: str, seconds: float) -> None:
        """Record the time from the arrival of a live frame to the identification of a face in it."""
        self._note(self._delays, DELAYS_OVER_S, camera, seconds)

    def _note(self, kind: dict[str, _Latest], over_s: float, camera: str, value: float) -> None:
        now = self._clock()
        with self._lock:
            kind.setdefault(camera, _Latest(over_s, now)).add(now, value)

    def record_frame_age(self, seconds: float) -> None:
        """Record the age of a live frame at the overlay."""
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

    def read(self) -> MetricsSnapshot:
        with self._lock:
            counts, followed, ages = self._counts.copy(), list(self._followed), list(self._ages)
            now = self._clock()
            searched = {camera: latest.rate(now) for camera, latest in self._searches.items()}
            delays = {camera: latest.values(now) for camera, latest in self._delays.items()}
            stages = {
                name: (each.seconds, list(each.latest), tuple(each.buckets)) for name, each in self._stages.items()
            }
        for key, number in followed:
            counts[key] += number()
        slowest = {camera: float(np.percentile(each, 95)) for camera, each in delays.items() if each}
        return MetricsSnapshot(_by_name(counts), dict(counts), _timings(stages), _percentiles(ages), searched, slowest)


def _by_name(counts: Counter[tuple[str, str]]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for (what, _), number in counts.items():
        totals[what] += number
    return dict(totals)


def _timings(stages: Mapping[str, tuple[float, list[float], tuple[int, ...]]]) -> dict[str, StageTiming]:
    timings = {}
    for name, (seconds, latest, buckets) in stages.items():
        p50, p95 = (float(value) for value in np.percentile(latest, [50, 95]))
        timings[name] = StageTiming(seconds, p50, p95, buckets)
    return timings


def _percentiles(ages: Sequence[float]) -> tuple[float, float, float] | None:
    if not ages:
        return None
    p50, p95, p99 = (float(value) for value in np.percentile(ages, [50, 95, 99]))
    return p50, p95, p99
