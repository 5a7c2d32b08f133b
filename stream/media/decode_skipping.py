"""Decode skipping: a live stream is decoded in full, or in part while decoding is behind.

A decoder that is slower than its camera falls further and further behind, and shows outdated frames. Frames that no
other frame needs are skipped first, then all but key frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Literal

Discard = Literal["DEFAULT", "NONREF", "NONKEY"]
"""FFmpeg's names of what is left out (`AVDiscard`): nothing, what no other picture refers to, all but key frames."""

BEHIND_S = 0.4
FAR_BEHIND_S = 1.0
CAUGHT_UP_S = 0.15
DENSE_S = 2.0
"""Key frames no further apart stand in for a film; of others nothing would come for longer than a camera may be
silent."""
BACK_S = 0.5
"""Stamps that go back further begin a new count; those that jump ahead are a new least delay."""
_REMEMBERED_S = 60.0
"""A camera's clock is never right: the least delay is that of the latest minute, or the two differ ever more."""
_SPAN_S = 5.0


class DecodeSkipper:
    """Chooses what the decoder leaves out, by how far the stream lags behind the clock compared with its least delay of
    the latest minute. Used by one thread."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._least: deque[tuple[float, float]] = deque()
        self._last_s: float | None = None
        self._key_s: float | None = None
        self._key_gap_s = float("inf")
        self._discard: Discard = "DEFAULT"

    def choose_discard(self, stamp_s: float, key: bool) -> Discard:
        """What the decoder is to leave out from this packet on. To be called for each packet, in decoding order.
        `stamp_s` is its decoding time in seconds, `key` whether it holds a key frame."""
        now = self._clock()
        if self._last_s is not None and stamp_s < self._last_s - BACK_S:
            self._least.clear()
            self._key_s = None
        self._last_s = stamp_s
        if key:
            self._key_gap_s = float("inf") if self._key_s is None else stamp_s - self._key_s
            self._key_s = stamp_s
        self._discard = self._choose(self._lag(now, now - stamp_s), key)
        return self._discard

    def _lag(self, now: float, delay_s: float) -> float:
        """Least delays are kept by spans of time, so that few are."""
        if self._least and now - self._least[-1][0] < _SPAN_S:
            began, least = self._least[-1]
            self._least[-1] = began, min(least, delay_s)
        else:
            self._least.append((now, delay_s))
        while now - self._least[0][0] > _REMEMBERED_S:
            self._least.popleft()
        return delay_s - min(least for _, least in self._least)

    def _choose(self, lag_s: float, key: bool) -> Discard:
        """After frames were skipped, full decoding can resume only at a key frame."""
        if self._discard == "NONKEY" and not key:
            return "NONKEY"
        if lag_s > FAR_BEHIND_S and self._key_gap_s <= DENSE_S:
            return "NONKEY"
        if lag_s > BEHIND_S:
            return "NONREF"
        if lag_s > CAUGHT_UP_S and self._discard != "DEFAULT":
            return "NONREF"
        return "DEFAULT"
