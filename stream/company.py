"""Crops in company: with each goes what pictures before it showed of the same face, for the deblurrer to look at."""

from __future__ import annotations

from dataclasses import replace

from stream.data import Crop

OTHERS = 2
"""Crops that go with one: as many as the network looks at."""


class Company:
    """The latest crops of each track of one camera."""

    def __init__(self) -> None:
        self._latest: dict[int, tuple[Crop, ...]] = {}

    def joined(self, crop: Crop) -> Crop:
        """The crop with those of its track before it; from now on it is one of them."""
        before = self._latest.get(crop.track, ())
        self._latest[crop.track] = (crop, *before)[:OTHERS]
        return replace(crop, others=before)

    def forget(self, track: int) -> None:
        """The track has ended."""
        self._latest.pop(track, None)
