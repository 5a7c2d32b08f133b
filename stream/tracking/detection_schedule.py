"""When the detector looks, and how closely: at every frame while something is going on, else now and then."""

from __future__ import annotations

import math
from collections.abc import Callable

IDLE_INTERVAL = 3
"""Frames from one look to the next while all faces are known and slow; their tracks carry them in between."""
CALM_S = 0.15
"""Media time after which it looks all the same: where pictures are rare, a person may be in one of them alone."""
SIZES = (640, 512, 416, 320)
"""Detection sizes, in pixels of the picture's longer side."""
SHARE = 0.5
"""Share of the time from frame to frame that looking may take; the rest is for decoding, crops and the picture. Where
there are more cameras than cores, each has its part of it."""
LONGEST_GAP_S = 0.5
"""Seconds from look to look, whatever the load: who walks by must not be missed. Cameras take turns beyond that."""
PATIENCE = 15
"""Looks before the size is changed again."""
SMOOTHING = 0.2
"""Weight of the newest measurement in a running mean."""


class DetectionScheduler:
    """Says at which frames the detector is to look, and at what size. Of `stills`, pictures of which the next need not
    show what the last did, it is to look at each.

    Over a recording both depend on the pictures alone, so that a replay gives the same. A live source's also depend
    on the load: where looking takes too long it looks at fewer frames, and if that leaves it behind, at smaller ones.
    """

    def __init__(self, live: bool = False, stills: bool = False, part: Callable[[], float] = lambda: 1.0) -> None:
        """`part` says, when it is asked, what part of the share this camera may take now (0..1)."""
        self._live = live
        self._part = part
        self._calm = 1 if stills else IDLE_INTERVAL
        self._since = IDLE_INTERVAL
        self._searched_s: float | None = None
        self._size = 0
        self._looks = 0
        self._cost = 0.0
        self._following = 0.0
        self._interval = 0.0
        self._now: float | None = None

    @property
    def long_side(self) -> int:
        """The detection size for the next look, in pixels."""
        return SIZES[self._size]

    def should_detect(self, restless: bool, pts_s: float) -> bool:
        """Whether to look at this frame; to be asked once for each. `restless` is the last `TrackUpdate`'s."""
        if self._now is not None and pts_s > self._now:
            self._interval = _mean(self._interval, pts_s - self._now)
        self._now = pts_s
        self._since += 1
        waited_s = 0.0 if self._searched_s is None else pts_s - self._searched_s
        calm = 1 if restless or not 0 <= waited_s < CALM_S else self._calm
        if self._since < max(self._stride, calm):
            return False
        self._since, self._searched_s = 0, pts_s
        return True

    def record_duration(self, seconds: float) -> None:
        """How long a look took, by the clock of its thread: what others take of the machine makes nobody's looks
        dearer. Changes nothing for a recording."""
        if not self._live:
            return
        self._cost = _mean(self._cost, seconds)
        self._looks += 1
        if self._looks >= PATIENCE:
            self._resize()

    def spare_s(self, elapsed_s: float) -> float | None:
        """Seconds that a look leaves of its share of the time since the last; None where looks are behind already."""
        if self._size or self._stride > 1:
            return None
        return max(0.0, SHARE * self._part() * elapsed_s - self._cost)

    def followed(self, seconds: float) -> None:
        """How long it took, by the same clock, to follow and cut out what a look has found: that costs whatever the
        size. Changes nothing for a recording."""
        if self._live:
            self._following = _mean(self._following, seconds)

    @property
    def _stride(self) -> int:
        """Frames from look to look that the load allows."""
        return self._allowing(self._cost + self._following)

    def _allowing(self, cost: float) -> int:
        if not self._live or self._allowed <= 0:
            return 1
        return max(1, min(math.ceil(cost / self._allowed), math.ceil(LONGEST_GAP_S / self._interval)))

    @property
    def _allowed(self) -> float:
        """Seconds that a look at every frame might take."""
        return SHARE * self._part() * self._interval

    def _resize(self) -> None:
        """One size down where looks lie more than two frames apart, one up where every frame could still be seen."""
        smaller = min(self._size + 1, len(SIZES) - 1)
        larger = max(self._size - 1, 0)
        growth = (SIZES[larger] / SIZES[self._size]) ** 2
        if self._allowing(self._cost) > 2 and smaller != self._size:
            self._change(smaller)
        elif larger != self._size and self._cost * growth < 0.8 * self._allowed:
            self._change(larger)

    def _change(self, size: int) -> None:
        self._cost *= (SIZES[size] / SIZES[self._size]) ** 2
        self._size, self._looks = size, 0


def _mean(so_far: float, newest: float) -> float:
    return newest if so_far == 0 else so_far + SMOOTHING * (newest - so_far)
