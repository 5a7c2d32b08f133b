"""Status of a live source: updated by its capture thread, read by any thread."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from time import monotonic
from typing import Literal

from stream.sources.watchdog import ArrivalInterval

_RATE_OVER_S = 10.0
_LATE = 1.5
"""Multiple of the camera's longest interval after which an image is overdue."""

SourceState = Literal["connecting", "live", "stalled", "reconnecting"]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The state of a live source at one moment. `since` (UTC) is when `state` began; `frame_age_s` is None before the
    first frame.

    `fps` is over the last 60 arrivals of the last 10 s, and 0 unless the source is live. `dropped` counts frames that
    were replaced by newer ones before they were used, `reconnects` successful reconnections. `last_error` holds no
    secret.
    """

    state: SourceState
    since: datetime
    fps: float
    frame_age_s: float | None
    dropped: int
    reconnects: int
    last_error: str | None


class SourceStatusTracker:
    """Tracks the state of a live source. It is stalled when its newest image is older than `stalled_s`, and than the
    camera's usual intervals. Thread-safe."""

    def __init__(self, stalled_s: float) -> None:
        self._stalled_s = stalled_s
        self._lock = Lock()
        self._state: SourceState = "connecting"
        self._since = datetime.now(UTC)
        self._arrivals: deque[float] = deque(maxlen=60)
        self._interval = ArrivalInterval()
        self._last: float | None = None
        self._reconnects = 0
        self._error: str | None = None

    @property
    def has_frames(self) -> bool:
        """Whether any image has arrived so far."""
        return self._last is not None

    def record_arrival(self) -> float:
        """Record an image; returns the seconds since the previous one, 0 for the first."""
        now = monotonic()
        with self._lock:
            elapsed_s = 0.0 if self._last is None else now - self._last
            if self._state == "reconnecting":
                self._reconnects += 1
            elif self._last is not None:
                self._interval.add(elapsed_s)
            self._enter("live")
            self._last = now
            self._arrivals.append(now)
        return elapsed_s

    def record_loss(self, problem: str) -> None:
        """Record that the connection failed or ended."""
        with self._lock:
            self._enter("reconnecting" if self.has_frames else "connecting")
            self._error = problem
            self._arrivals.clear()

    def status(self, dropped: int) -> SourceStatus:
        with self._lock:
            age_s = None if self._last is None else monotonic() - self._last
            if age_s is not None and age_s > self._overdue_s() and self._state == "live":
                self._enter("stalled")
            return SourceStatus(self._state, self._since, self._fps(), age_s, dropped, self._reconnects, self._error)

    def _overdue_s(self) -> float:
        return max(self._stalled_s, _LATE * (self._interval.longest_s or 0.0))

    def _fps(self) -> float:
        now = monotonic()
        while self._arrivals and now - self._arrivals[0] > _RATE_OVER_S:
            self._arrivals.popleft()
        if self._state != "live" or len(self._arrivals) < 2:
            return 0.0
        return (len(self._arrivals) - 1) / max(1e-3, now - self._arrivals[0])

    def _enter(self, state: SourceState) -> None:
        if state != self._state:
            self._state, self._since = state, datetime.now(UTC)
