"""Media time that only goes forward, from time stamps that may be missing, repeated, wild or start again."""

from __future__ import annotations

from fractions import Fraction

_REPEATED_S = 1.0
"""A stamp this little behind is a repeated one; further behind, the count has started again."""
DAY_S = 86_400.0
"""Recordings may have long gaps, but none of a day."""
JUMP_S = 10.0
"""What FFmpeg's own programs take for a jump in streams whose clock may be set (`-dts_delta_threshold`)."""


class Timeline:
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

    def place(self, stamp: int | None, elapsed_s: float) -> int:
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
