"""Media time that only goes forward, from time stamps that may be missing, repeated, wild or start again."""

from __future__ import annotations

from fractions import Fraction

_REPEATED_S = 1.0
"""A stamp this little behind is a repeated one; further behind, the count has started again."""
_WILD_S = 86_400.0
"""A stamp more than a day ahead is damaged, or the camera has set its clock; the count has started again."""


class Timeline:
    """Places a decoder's stamps on one strictly increasing count of `time_base` seconds.

    `origin` is the stamp that becomes 0; None lets the first stamp, and the first after each `restart`, follow what
    came before it.
    """

    def __init__(self, time_base: Fraction, origin: int | None = None) -> None:
        self.time_base = time_base
        self._offset = None if origin is None else -origin
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
        last = -1 if self._last is None else self._last
        ahead_s = (placed - last) * self.time_base
        if -_REPEATED_S < ahead_s < _WILD_S:
            return max(placed, last + 1)
        self._offset = expected - stamp
        return expected
