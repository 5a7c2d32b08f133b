"""How long a live source may be silent before it is given up: measured, not assumed.

One camera sends 25 pictures a second, another one every ten seconds; and a picture may be decoded only from the next
key frame on, which cameras send every second, or every twenty.
"""

from __future__ import annotations

from math import exp
from time import monotonic

_MEMORY_S = 60.0
"""A long wait counts for 1/e after this time."""
_SLACK = 3.0
"""A camera is given up when it is silent for so many times its own longest interval ..."""
_LONGEST_S = 120.0
"""... or for this, whatever it did before."""


class ArrivalInterval:
    """The longest time between two arrivals, old ones fading."""

    def __init__(self) -> None:
        self.longest_s: float | None = None

    def add(self, seconds: float) -> None:
        """Something came, so many seconds after the one before."""
        faded = (self.longest_s or 0.0) * exp(-seconds / _MEMORY_S)
        self.longest_s = max(faded, seconds)


class Watchdog:
    """Decides when a connection is given up. Kept over reconnections, so that what was learnt of a camera is not lost.

    Silence is no packet of the picture for `picture_s`, or for three times the longest interval of late, whichever is
    longer. Packets of which no picture can be decoded are a fault after the same time, for example another codec; but
    at the beginning they wait for a key frame, `keyframe_s` at most. So does the second packet of a camera of which
    nothing is known.
    """

    def __init__(self, picture_s: float, keyframe_s: float) -> None:
        self._picture_s = picture_s
        self._keyframe_s = max(keyframe_s, picture_s)
        self._interval = ArrivalInterval()
        self.connected()

    def connected(self) -> None:
        """A connection stands; nothing has come over it."""
        self._packet = self._picture = monotonic()
        self._seen = self._decoded = False

    def packet(self) -> None:
        """A packet of the picture came."""
        now = monotonic()
        if self._seen:
            self._interval.add(now - self._packet)
        self._packet, self._seen = now, True

    def picture(self) -> None:
        """A picture was decoded."""
        self._picture, self._decoded = monotonic(), True

    def resume(self) -> None:
        """What passed since the last packet was our own waiting, not the camera's."""
        self._packet = self._picture = monotonic()

    @property
    def patience_s(self) -> float:
        """Seconds that the next packet may take."""
        if self._interval.longest_s is None:
            return self._keyframe_s
        return min(max(self._picture_s, _SLACK * self._interval.longest_s), max(_LONGEST_S, self._picture_s))

    def __float__(self) -> float:
        """The same: PyAV asks for it at the beginning of each read."""
        return self.patience_s

    def complaint(self) -> str | None:
        """Why the connection is to be given up, if it is."""
        now, patience_s = monotonic(), self.patience_s
        if now - self._packet > patience_s:
            return self.silence()
        limit_s = patience_s if self._decoded else max(self._keyframe_s, patience_s)
        if now - self._picture > limit_s:
            return f"no picture in what it sends for {limit_s:.3g} s"
        return None

    def silence(self) -> str:
        """Say that nothing came in time, and wait longer from now on: perhaps the camera is only slow."""
        patience_s = self.patience_s
        self._interval.add(patience_s)
        return f"no picture for {patience_s:.3g} s"
