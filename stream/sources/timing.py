"""Timing of sources: real-time playback, playout delay, and monotonic time stamps."""

from __future__ import annotations

from fractions import Fraction
from threading import Event
from time import monotonic

_LATE_S = 1.0
"""Delay above which the clock is reset, instead of playing faster to catch up."""


class RealtimePacer:
    """Delays the frames of a recording until they are due; the first one is due at once."""

    def __init__(self, closed: Event) -> None:
        self._closed = closed
        self._start_s: float | None = None

    def wait(self, pts_s: float) -> None:
        """Return when the picture of media time `pts_s` is due, or as soon as `closed` is set."""
        now = monotonic()
        if self._start_s is None or self._start_s + pts_s - now < -_LATE_S:
            self._start_s = now - pts_s
        self._closed.wait(max(0.0, self._start_s + pts_s - now))


_JUMP_S = 15.0
"""Longest step between two frames of a live stream; a longer one is a jump of its time stamps."""
_EMPTY_S = 0.5
"""A frame that is late by less shows that the buffer ran empty: the playout delay is at its minimum."""
_LATE_RESET_S = 2.0
"""Frames that have been late for so long will stay late: the clock is reset."""
_SPEEDUP = 0.04
"""Share by which a stream plays faster than real time until the buffer is empty: it removes excess delay."""


class Playout:
    """Playout buffer: spreads the frames of a live stream that comes in bursts (MP4 fragments, HLS segments) over the
    time that they cover, with the smallest possible delay.

    The first frame of a burst is due at once; the others wait for their time stamps. Playback is slightly faster than
    real time, so that the delay shrinks until a frame is late: it soon falls to the longest burst. After a pause in the
    stream, late frames are not delayed.
    """

    def __init__(self, closed: Event) -> None:
        self._closed = closed
        self._start_s: float | None = None
        self._pts_s = 0.0
        self._late_since: float | None = None

    def wait(self, pts_s: float) -> None:
        """Return when the picture of media time `pts_s` is due, or as soon as `closed` is set."""
        now = monotonic()
        step_s, self._pts_s = pts_s - self._pts_s, pts_s
        if self._start_s is None or not 0 <= step_s <= _JUMP_S:
            self._reset_clock(now)
            return
        self._start_s -= _SPEEDUP * step_s
        ahead_s = self._start_s + pts_s - now
        if ahead_s > 0:
            self._late_since = None
            self._closed.wait(ahead_s)
        else:
            self._handle_late(now, -ahead_s)

    def _handle_late(self, now: float, late_s: float) -> None:
        self._late_since = now if self._late_since is None else self._late_since
        if late_s < _EMPTY_S or now - self._late_since > _LATE_RESET_S:
            self._reset_clock(now)

    def _reset_clock(self, now: float) -> None:
        self._start_s, self._late_since = now - self._pts_s, None


_REPEATED_S = 1.0
"""A time stamp that is behind by less is a repeated one; further behind, the stamps have started again."""

DAY_S = 86_400.0
"""Recordings may have long gaps, but none of a day."""

JUMP_S = 10.0
"""The step that FFmpeg's own programs treat as a jump, in streams whose clock may be set (`-dts_delta_threshold`)."""


class MonotonicPts:
    """Maps a decoder's time stamps to one strictly increasing count of `time_base` seconds.

    `origin` is the stamp that becomes 0; with None, the first stamp, and the first after each `restart`, continues the
    count. A stamp more than `jump_s` (the first one: a day) ahead of the other clock is damaged, or the camera has set
    its clock: the stamps have started again.
    """

    def __init__(self, time_base: Fraction, origin: int | None = None, jump_s: float = DAY_S) -> None:
        self.time_base = time_base
        self._offset = None if origin is None else -origin
        self._jump_s = jump_s
        self._last: int | None = None

    def restart(self) -> None:
        """Start again: the next stamp is unrelated to the previous ones."""
        self._offset = None

    def map(self, stamp: int | None, elapsed_s: float) -> int:
        """Return the time of a frame with this stamp. `elapsed_s`, the time since the previous frame by another clock
        (its arrival, or the nominal frame rate), is used if the stamp is missing or invalid."""
        expected = 0 if self._last is None else self._last + max(1, round(elapsed_s / self.time_base))
        self._last = expected if stamp is None else self._map_stamp(stamp, expected)
        return self._last

    def _map_stamp(self, stamp: int, expected: int) -> int:
        if self._offset is None:
            self._offset = expected - stamp
        mapped = stamp + self._offset
        last, jump_s = (-1, DAY_S) if self._last is None else (self._last, self._jump_s)
        behind_s, ahead_s = (last - mapped) * self.time_base, (mapped - expected) * self.time_base
        if behind_s < _REPEATED_S and ahead_s < jump_s:
            return max(mapped, last + 1)
        self._offset = expected - stamp
        return expected
