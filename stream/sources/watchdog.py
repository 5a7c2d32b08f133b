"""Watchdog of a live connection: how long it may be silent, by the measured frame intervals of the camera.

Cameras send from 25 frames a second to one in ten seconds; and decoding starts only at a key frame, which cameras send
every 1 to 20 seconds.
"""

from __future__ import annotations

from math import exp
from time import monotonic

_MEMORY_S = 60.0
"""Time constant of the decay of a long interval."""
_SLACK = 3.0
"""A connection is closed when it is silent for this multiple of its longest interval ..."""
_LONGEST_S = 120.0
"""... or for this time in any case."""


class ArrivalInterval:
    """The longest time between two arrivals; old ones decay."""

    def __init__(self) -> None:
        self.longest_s: float | None = None

    def add(self, seconds: float) -> None:
        """Add an arrival, `seconds` after the previous one."""
        faded = (self.longest_s or 0.0) * exp(-seconds / _MEMORY_S)
        self.longest_s = max(faded, seconds)


class Watchdog:
    """Decides when a connection is to be closed. Kept over reconnections, with what it measured of a camera.

    A connection is silent without a video packet for `picture_s`, or for three times the longest recent interval,
    whichever is longer. Packets that give no decoded frame are a fault after the same time, for example another codec;
    at the beginning they may wait for a key frame, at most `keyframe_s`. The same time holds for the second packet of a
    camera whose interval is not known yet.
    """

    def __init__(self, picture_s: float, keyframe_s: float) -> None:
        self._picture_s = picture_s
        self._keyframe_s = max(keyframe_s, picture_s)
        self._interval = ArrivalInterval()
        self.reset()

    def reset(self) -> None:
        """Start a new connection."""
        self._packet = self._picture = monotonic()
        self._has_packet = self._decoded = False

    def record_packet(self) -> None:
        """Record a video packet."""
        now = monotonic()
        if self._has_packet:
            self._interval.add(now - self._packet)
        self._packet, self._has_packet = now, True

    def record_frame(self) -> None:
        """Record a decoded frame."""
        self._picture, self._decoded = monotonic(), True

    def resume(self) -> None:
        """Do not count the time since the last packet: it was a wait of the program, not of the camera."""
        self._packet = self._picture = monotonic()

    @property
    def patience_s(self) -> float:
        """Seconds to wait for the next packet."""
        if self._interval.longest_s is None:
            return self._keyframe_s
        return min(max(self._picture_s, _SLACK * self._interval.longest_s), max(_LONGEST_S, self._picture_s))

    def __float__(self) -> float:
        """The timeout in seconds: PyAV reads it at the start of each read."""
        return self.patience_s

    def find_problem(self) -> str | None:
        """Return why the connection is to be closed; None if it is good."""
        now, patience_s = monotonic(), self.patience_s
        if now - self._packet > patience_s:
            return self.report_silence()
        limit_s = patience_s if self._decoded else max(self._keyframe_s, patience_s)
        if now - self._picture > limit_s:
            return f"no picture in what it sends for {limit_s:.3g} s"
        return None

    def report_silence(self) -> str:
        """Return the message of a timeout, and wait longer from now on: the camera may only be slow."""
        patience_s = self.patience_s
        self._interval.add(patience_s)
        return f"no picture for {patience_s:.3g} s"
