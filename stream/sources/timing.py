"""Playing no faster than life."""

from __future__ import annotations

from fractions import Fraction
from threading import Event
from time import monotonic

_LATE_S = 1.0
"""Further behind than this, the clock is set anew instead of hurrying after it."""


class RealtimePacer:
    """Holds pictures of a recording back until they are due; the first one is due at once."""

    def __init__(self, closed: Event) -> None:
        self._closed = closed
        self._zero: float | None = None

    def wait(self, pts_s: float) -> None:
        """Return when the picture of media time `pts_s` is due, or as soon as `closed` is set."""
        now = monotonic()
        if self._zero is None or self._zero + pts_s - now < -_LATE_S:
            self._zero = now - pts_s
        self._closed.wait(max(0.0, self._zero + pts_s - now))


_JUMP_S = 15.0
"""Between two pictures of a live stream; more is a jump in its time stamps."""
_STARVED_S = 0.5
"""A picture that is late by less shows that no other waited: the playout delay is as small as it can be."""
_FOR_GOOD_S = 2.0
"""Pictures that are late for so long will be from now on."""
_HURRY = 0.04
"""How much faster than life a stream is played until it is starved: what a camera sent ahead is made up for."""


class Playout:
    """Spreads the pictures of a live stream that comes in bursts (fragments of MP4, segments of HLS) over the time that
    they cover, with the least delay at which that succeeds.

    The first picture of a burst is due at once; the others wait for their time stamps. Playing a little faster than
    life, the delay shrinks until a picture comes late; so it is never longer than the longest burst for long. After a
    pause in the stream, what is late is not held back.
    """

    def __init__(self, closed: Event) -> None:
        self._closed = closed
        self._zero: float | None = None
        self._pts_s = 0.0
        self._late_since: float | None = None

    def wait(self, pts_s: float) -> None:
        """Return when the picture of media time `pts_s` is due, or as soon as `closed` is set."""
        now = monotonic()
        step_s, self._pts_s = pts_s - self._pts_s, pts_s
        if self._zero is None or not 0 <= step_s <= _JUMP_S:
            self._set(now)
            return
        self._zero -= _HURRY * step_s
        ahead_s = self._zero + pts_s - now
        if ahead_s > 0:
            self._late_since = None
            self._closed.wait(ahead_s)
        else:
            self._be_late(now, -ahead_s)

    def _be_late(self, now: float, late_s: float) -> None:
        self._late_since = now if self._late_since is None else self._late_since
        if late_s < _STARVED_S or now - self._late_since > _FOR_GOOD_S:
            self._set(now)

    def _set(self, now: float) -> None:
        self._zero, self._late_since = now - self._pts_s, None


_REPEATED_S = 1.0
"""A stamp this little behind is a repeated one; further behind, the count has started again."""

DAY_S = 86_400.0
"""Recordings may have long gaps, but none of a day."""

JUMP_S = 10.0
"""What FFmpeg's own programs take for a jump in streams whose clock may be set (`-dts_delta_threshold`)."""


class MonotonicPts:
    """Places a decoder's stamps on one strictly increasing count of `time_base` seconds.

    `origin` is the stamp that becomes 0; None lets the first stamp, and the first after each `restart`, follow what
    came before it. A stamp that lies more than `jump_s` (the first one: a day) ahead of the other clock is damaged, or
    the camera has set its clock: the count has started again.
    """

    def __init__(self, time_base: Fraction, origin: int | None = None, jump_s: float = DAY_S) -> None:
        self.time_base = time_base
        self._offset = None if origin is None else -origin
        self._jump_s = jump_s
        self._last: int | None = None

    def restart(self) -> None:
        """The next stamp begins a new count."""
        self._offset = None

    def map(self, stamp: int | None, elapsed_s: float) -> int:
        """The time of a picture stamped `stamp`. `elapsed_s`, the time since the one before by another clock (its
        arrival, or the nominal frame rate), counts where the stamp is missing or tells nothing."""
        expected = 0 if self._last is None else self._last + max(1, round(elapsed_s / self.time_base))
        self._last = expected if stamp is None else self._placed(stamp, expected)
        return self._last

    def _placed(self, stamp: int, expected: int) -> int:
        if self._offset is None:
            self._offset = expected - stamp
        placed = stamp + self._offset
        last, jump_s = (-1, DAY_S) if self._last is None else (self._last, self._jump_s)
        behind_s, ahead_s = (last - placed) * self.time_base, (placed - expected) * self.time_base
        if behind_s < _REPEATED_S and ahead_s < jump_s:
            return max(placed, last + 1)
        self._offset = expected - stamp
        return expected
