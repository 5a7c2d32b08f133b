"""Which crops go to identification: the best of each track, often at first, then seldom."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stream.results import FaceSample

FIRST_GAP_S = 0.12
"""Seconds of media time between the first crops of a track."""
LONGEST_GAP_S = 4.0
"""Seconds between crops of a track that has been there for long."""
GROWTH = 1.3
"""From crop to crop the gap grows by this factor: six in the first second, then ever fewer."""
BLURRING = 8.0
"""Speed, in crop pixels per frame, from which the gap does not grow but is `BLURRED_GAP_S`: with a shutter half open
that is 4 pixels of blur, and one blurred crop tells little, many tell more. At 5 the same people of `val` were named
for more work."""
BLURRED_GAP_S = 0.06
"""Seconds between crops of a track that is blurred by its motion: at twice that fewer of `val` were named
(docs/design/tracking.md)."""
BETTER = 1.3
"""A crop so many times better than the best so far does not wait for its turn."""
RATE = 24.0
"""Crops per second of media time that a camera may send, over all its tracks; as many may come at once. A live camera's
that cannot be seen to in time are passed over."""
RESERVED_CROPS = 6
"""So many crops of the allowance are held back from a track that has sent as many itself, for those that sent fewer."""


FRESH_S = 0.5
"""Of a live camera a crop waits no longer for the turn of its track: it would be named when it is no longer true."""


@dataclass
class _TrackBudget:
    """Where a track stands: its best look that still waits, what was best so far, and when it was last sent."""

    waiting: FaceSample | None = None
    best: float = 0.0
    sent: int = 0
    sent_s: float = 0.0
    gap_s: float = FIRST_GAP_S

    def is_due(self, look: FaceSample, now: float) -> bool:
        if not self.sent:
            return True
        passed, gap_s = now - self.sent_s, self.gap_s if look.crop.speed < BLURRING else BLURRED_GAP_S
        return passed >= gap_s or (passed >= FIRST_GAP_S and look.crop.quality.overall > BETTER * self.best)

    def send(self, look: FaceSample, now: float) -> FaceSample:
        if self.sent and look.crop.speed < BLURRING:
            self.gap_s = min(LONGEST_GAP_S, GROWTH * self.gap_s)
        self.sent += 1
        self.sent_s = now
        self.best = max(self.best, look.crop.quality.overall)
        self.waiting = None
        return look


class CropSelector:
    """Chooses looks at one camera's tracks, by media time and quality alone, so that a replay chooses the same.

    Between two turns of a track the look with the best crop is kept (one a track) and the others are dropped; `dropped`
    counts them. Of a live camera a look that has waited for `FRESH_S` gives way to any newer one.
    """

    def __init__(self, live: bool = False) -> None:
        self._longest_s = FRESH_S if live else math.inf
        self.dropped = 0
        self._turns: dict[int, _TrackBudget] = {}
        self._allowance = RATE
        self._now: float | None = None

    def push(self, look: FaceSample) -> FaceSample | None:
        """Take the newest look at a track; returns the one to identify now, if it is the track's turn."""
        now = look.moment.pts_s
        turn = self._turns.setdefault(look.track.id, _TrackBudget())
        self._refill(now)
        turn.waiting = self._better(turn.waiting, look)
        if self._allowance < 1 + min(turn.sent, RESERVED_CROPS) or not turn.is_due(turn.waiting, now):
            return None
        self._allowance -= 1
        return turn.send(turn.waiting, now)

    def flush(self, track: int) -> FaceSample | None:
        """The track has ended: the best look at it that was never sent, if there is one."""
        turn = self._turns.pop(track, None)
        return turn.waiting if turn else None

    def _better(self, one: FaceSample | None, other: FaceSample) -> FaceSample:
        if one is None:
            return other
        self.dropped += 1
        if other.moment.pts_s - one.moment.pts_s > self._longest_s:
            return other
        return max(one, other, key=lambda look: look.crop.quality.overall)

    def _refill(self, now: float) -> None:
        passed = 0.0 if self._now is None else max(0.0, now - self._now)
        self._allowance = min(RATE, self._allowance + RATE * passed)
        self._now = now
