"""How a live source is doing: kept by its capture thread, asked for by anybody."""

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
"""A picture that takes so many times the camera's longest interval is overdue."""

State = Literal["connecting", "live", "stalled", "reconnecting"]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A live source at one moment. `since` (UTC) is when `state` began; `frame_age_s` is None before the first frame.

    `fps` is over the last 60 arrivals of the last 10 s, and 0 unless the source is live. `dropped` counts frames that
    newer ones replaced before anybody took them, `reconnects` the times that the picture came back. `last_error` holds
    no secret.
    """

    state: State
    since: datetime
    fps: float
    frame_age_s: float | None
    dropped: int
    reconnects: int
    last_error: str | None


class SourceStatusTracker:
    """A live source's state. It is stalled when its newest picture is older than `stalled_s`, and than the intervals
    at which the camera sends them. Safe to use from several threads."""

    def __init__(self, stalled_s: float) -> None:
        self._stalled_s = stalled_s
        self._lock = Lock()
        self._state: State = "connecting"
        self._since = datetime.now(UTC)
        self._arrivals: deque[float] = deque(maxlen=60)
        self._interval = ArrivalInterval()
        self._last: float | None = None
        self._reconnects = 0
        self._error: str | None = None

    @property
    def seen(self) -> bool:
        """Whether there ever was a picture."""
        return self._last is not None

    def arrived(self) -> float:
        """A picture came; seconds since the one before, 0 for the first."""
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

    def lost(self, problem: str) -> None:
        """The connection failed or ended."""
        with self._lock:
            self._enter("reconnecting" if self.seen else "connecting")
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

    def _enter(self, state: State) -> None:
        if state != self._state:
            self._state, self._since = state, datetime.now(UTC)
