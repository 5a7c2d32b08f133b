"""Selection of the crops to identify: the best of each track, often at first, then seldom."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stream.results import FaceSample

FIRST_GAP_S = 0.12
"""Seconds of media time between the first crops of a track."""
LONGEST_GAP_S = 4.0
"""Seconds between crops of an old track."""
GROWTH = 1.3
"""The gap grows by this factor from crop to crop: six crops in the first second, then fewer and fewer."""
BLURRING = 8.0
"""Speed, in crop pixels per frame, from which the gap does not grow but is `BLURRED_GAP_S`: with a shutter half open
that is 4 pixels of blur, and one blurred crop is weak evidence, many are stronger. At 5 the same people of `val` were
named for more work."""
BLURRED_GAP_S = 0.06
"""Seconds between crops of a track that is blurred by its motion: at twice that fewer of `val` were named
(docs/design/tracking.md)."""
BETTER = 1.3
"""A crop whose quality is better than the best so far by this factor does not wait for its budget."""
RATE = 24.0
"""Crops per second of media time that a camera may send, over all its tracks; as many may come at once. Crops of live
cameras that cannot be identified in time are dropped later."""
RESERVED_CROPS = 6
"""Crops of the allowance that are reserved for new tracks: a track that has sent so many itself cannot use them."""


FRESH_S = 0.5
"""Longest wait of a live camera's crop for the budget of its track: an older crop would give an outdated name."""


@dataclass
class _TrackBudget:
    """State of a track: its best waiting sample, the best quality sent so far, and when it last sent one."""

    waiting: FaceSample | None = None
    best: float = 0.0
    sent: int = 0
    sent_s: float = 0.0
    gap_s: float = FIRST_GAP_S

    def is_due(self, sample: FaceSample, now: float) -> bool:
        if not self.sent:
            return True
        elapsed_s, gap_s = now - self.sent_s, self.gap_s if sample.crop.speed < BLURRING else BLURRED_GAP_S
        return elapsed_s >= gap_s or (elapsed_s >= FIRST_GAP_S and sample.crop.quality.overall > BETTER * self.best)

    def send(self, sample: FaceSample, now: float) -> FaceSample:
        if self.sent and sample.crop.speed < BLURRING:
            self.gap_s = min(LONGEST_GAP_S, GROWTH * self.gap_s)
        self.sent += 1
        self.sent_s = now
        self.best = max(self.best, sample.crop.quality.overall)
        self.waiting = None
        return sample


class CropSelector:
    """Selects the samples of one camera to identify, by media time and quality alone, so that a replay selects the
    same.

    Between two turns of a track the sample with the best crop is kept, and the others are dropped; `dropped` counts
    them. On a live camera a sample that has waited for `FRESH_S` is replaced by any newer one.
    """

    def __init__(self, live: bool = False) -> None:
        self._longest_s = FRESH_S if live else math.inf
        self.dropped = 0
        self._budgets: dict[int, _TrackBudget] = {}
        self._allowance = RATE
        self._now: float | None = None

    def push(self, sample: FaceSample) -> FaceSample | None:
        """Add the newest sample of a track; returns the one to identify now, if it is the track's budget."""
        now = sample.moment.pts_s
        budget = self._budgets.setdefault(sample.track.id, _TrackBudget())
        self._refill(now)
        budget.waiting = self._better(budget.waiting, sample)
        if self._allowance < 1 + min(budget.sent, RESERVED_CROPS) or not budget.is_due(budget.waiting, now):
            return None
        self._allowance -= 1
        return budget.send(budget.waiting, now)

    def flush(self, track: int) -> FaceSample | None:
        """End a track; returns its waiting sample, if there is one."""
        budget = self._budgets.pop(track, None)
        return budget.waiting if budget else None

    def _better(self, one: FaceSample | None, other: FaceSample) -> FaceSample:
        if one is None:
            return other
        self.dropped += 1
        if other.moment.pts_s - one.moment.pts_s > self._longest_s:
            return other
        return max(one, other, key=lambda sample: sample.crop.quality.overall)

    def _refill(self, now: float) -> None:
        elapsed_s = 0.0 if self._now is None else max(0.0, now - self._now)
        self._allowance = min(RATE, self._allowance + RATE * elapsed_s)
        self._now = now
