"""Somebody in the picture, from the first crop to the last."""

from __future__ import annotations

from dataclasses import dataclass

from stream.data import Identity, Restoration, Track
from stream.look import Look, Moment

Finding = tuple[Look, Restoration]
"""A look, and what became of its crop."""


@dataclass(slots=True, eq=False)
class Life:
    """Somebody on a living track: where the track was seen last, and of themselves since when they were there, their
    number (0: not known yet), who they are by now, their latest and their best crop, and a crop that may be somebody
    else's."""

    track: Track
    seen: Moment
    first_pts_s: float
    number: int = 0
    identity: Identity | None = None
    latest: Finding | None = None
    best: Finding | None = None
    doubtful: Finding | None = None

    def take(self, found: Finding, identity: Identity) -> None:
        """A crop of theirs, and who they are by it."""
        self.identity, self.latest, self.doubtful = identity, found, None
        if self.best is None or found[1].crop.quality.overall > self.best[1].crop.quality.overall:
            self.best = found

    def another(self, number: int, first: Finding) -> Life:
        """Somebody else on the same track, from that crop on."""
        life = Life(self.track, self.seen, first[0].moment.pts_s, number)
        life.latest = life.best = first
        return life
