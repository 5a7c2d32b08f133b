"""Playing no faster than life."""

from __future__ import annotations

from math import inf
from threading import Event
from time import monotonic

_LATE_S = 1.0
"""Further behind than this, the clock is set anew instead of hurrying after it."""


class Pace:
    """Holds pictures back until they are due; the first one is due at once.

    A picture that would have to wait longer than `longest_s` is taken for a jump in the time stamps: it is due at
    once and the clock is set anew.
    """

    def __init__(self, closed: Event, longest_s: float = inf) -> None:
        self._closed = closed
        self._longest_s = longest_s
        self._zero: float | None = None

    def wait(self, pts_s: float) -> None:
        """Return when the picture of media time `pts_s` is due, or as soon as `closed` is set."""
        now = monotonic()
        if self._zero is None or not -_LATE_S <= self._zero + pts_s - now <= self._longest_s:
            self._zero = now - pts_s
        self._closed.wait(max(0.0, self._zero + pts_s - now))
