"""Schedule of the detector: at every frame while faces are new or fast, else at intervals; and its image size."""

from __future__ import annotations

import math
from collections.abc import Callable

IDLE_INTERVAL = 3
"""Frames between detections while all faces are tracked and slow; tracks predict their positions in between."""
CALM_S = 0.15
"""Media time after which the detector runs in any case: at low frame rates a person may be in one frame only."""
SIZES = (640, 512, 416, 320)
"""Detection sizes, in pixels of the frame's longer side."""
SHARE = 0.5
"""Share of the time from frame to frame that detection may take; the rest is for decoding, crops and display. With more
cameras than cores, each camera has a part of it."""
LONGEST_GAP_S = 0.5
"""Longest time between detections, whatever the load: people who walk past must not be missed. If even that is too
much work, cameras take turns."""
PATIENCE = 15
"""Detections before the size is changed again."""
SMOOTHING = 0.2
"""Weight of the newest measurement in a running mean."""


class DetectionScheduler:
    """Decides on which frames the detector runs, and at what size. With `stills`, where consecutive frames are
    independent images, it runs on each.

    For a recording the decisions depend on the frames alone, so that a replay gives the same. For a live source they
    also depend on the load: if detection takes too long, it runs on fewer frames, and then on smaller ones.
    """

    def __init__(self, live: bool = False, stills: bool = False, part: Callable[[], float] = lambda: 1.0) -> None:
        """`part` returns the part of `SHARE` that this camera may use now (0..1)."""
        self._live = live
        self._part = part
        self._idle_interval = 1 if stills else IDLE_INTERVAL
        self._since = IDLE_INTERVAL
        self._searched_s: float | None = None
        self._size = 0
        self._detections = 0
        self._cost = 0.0
        self._tracking_cost = 0.0
        self._interval = 0.0
        self._now: float | None = None

    @property
    def long_side(self) -> int:
        """The size of the next detection, in pixels."""
        return SIZES[self._size]

    def should_detect(self, needs_detection: bool, pts_s: float) -> bool:
        """Whether to detect on this frame; called once for each. `needs_detection` is that of the last
        `TrackUpdate`."""
        if self._now is not None and pts_s > self._now:
            self._interval = _mean(self._interval, pts_s - self._now)
        self._now = pts_s
        self._since += 1
        waited_s = 0.0 if self._searched_s is None else pts_s - self._searched_s
        interval = 1 if needs_detection or not 0 <= waited_s < CALM_S else self._idle_interval
        if self._since < max(self._stride, interval):
            return False
        self._since, self._searched_s = 0, pts_s
        return True

    def record_duration(self, seconds: float) -> None:
        """Record the CPU time of a detection, in seconds of its thread, so that the load of other threads does not
        count. No effect for a recording."""
        if not self._live:
            return
        self._cost = _mean(self._cost, seconds)
        self._detections += 1
        if self._detections >= PATIENCE:
            self._resize()

    def spare_s(self, elapsed_s: float) -> float | None:
        """Seconds that a detection leaves of its share of the time since the last one; None if detection is behind
        already."""
        if self._size or self._stride > 1:
            return None
        return max(0.0, SHARE * self._part() * elapsed_s - self._cost)

    def record_tracking_duration(self, seconds: float) -> None:
        """Record the CPU time of tracking and cropping after a detection: it does not depend on the size. No effect for
        a recording."""
        if self._live:
            self._tracking_cost = _mean(self._tracking_cost, seconds)

    @property
    def _stride(self) -> int:
        """Frames between detections that the load allows."""
        return self._stride_for(self._cost + self._tracking_cost)

    def _stride_for(self, cost: float) -> int:
        if not self._live or self._allowed_s <= 0:
            return 1
        return max(1, min(math.ceil(cost / self._allowed_s), math.ceil(LONGEST_GAP_S / self._interval)))

    @property
    def _allowed_s(self) -> float:
        """Seconds that a detection on every frame might take."""
        return SHARE * self._part() * self._interval

    def _resize(self) -> None:
        """One size down if detections are more than two frames apart, one up if every frame could still be searched."""
        smaller = min(self._size + 1, len(SIZES) - 1)
        larger = max(self._size - 1, 0)
        growth = (SIZES[larger] / SIZES[self._size]) ** 2
        if self._stride_for(self._cost) > 2 and smaller != self._size:
            self._change(smaller)
        elif larger != self._size and self._cost * growth < 0.8 * self._allowed_s:
            self._change(larger)

    def _change(self, size: int) -> None:
        self._cost *= (SIZES[size] / SIZES[self._size]) ** 2
        self._size, self._detections = size, 0


def _mean(so_far: float, newest: float) -> float:
    return newest if so_far == 0 else so_far + SMOOTHING * (newest - so_far)
