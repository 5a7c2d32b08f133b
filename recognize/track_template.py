"""What is known of one track: its latest views, the name that they have earned, and whether they show one body.

Where two people cross, or something hides a face, a tracker may slip from one to the other. Then a view is unlike all
that came before; so is one of a hand before the face, or of nothing. Two such views in succession that are like each
other are somebody else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recognize.embedders.embedder import normalize
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import Person
from recognize.restoration_fusion import blur_threshold_offset
from stream.results import Identity, TrackContinuity
from stream.values import Array, Method

VIEWS = 32
"""The latest views that are evidence: a track whose face changes can change its mind."""
UNLIKE = 0.25
"""Cosine similarity of raw crops below which two are hardly one person's (`benchmarks/identity_switch.py`)."""


class ProbeSample(NamedTuple):
    """What one restoration says: its worth (0..1), embeddings (D, of length 1), and what was done to which blur."""

    weight: float
    raw: Array
    restored: Array | None
    fused: Array
    method: Method
    blur: float


class TrackTemplate:
    """Of one track. `apart` are the camera's tracks that were seen beside it: other people's. `identity` is the latest
    conclusion."""

    def __init__(self) -> None:
        self.apart: set[int] = set()
        self.identity: Identity | None = None
        self._named: tuple[str, Person] | None = None
        self._views: deque[ProbeSample] = deque(maxlen=VIEWS)
        self._doubtful: ProbeSample | None = None

    def add(self, view: ProbeSample) -> TrackContinuity:
        """Take in the latest view, and say whose it is."""
        before, self._doubtful = self._doubtful, None
        if not self._views or self._likeness(view) >= UNLIKE:
            self._views.append(view)
            return "same"
        if before is None or before.raw @ view.raw < UNLIKE:
            self._doubtful = view
            return "doubtful"
        self.apart, self._named = set(), None
        self._views = deque([before, view], maxlen=VIEWS)
        return "another"

    def _likeness(self, view: ProbeSample) -> float:
        """To the views so far together, or to the latest: blur grows by and by, and what is blurred alike is alike."""
        return float(max(self.means()[1] @ view.raw, self.latest.raw @ view.raw))

    def name(self, name: str | None, gallery: Gallery) -> None:
        """Hold on to this person of the gallery."""
        self._named = None if name is None else (name, gallery.people[name])

    def held(self, gallery: Gallery) -> int | None:
        """The place in this gallery of the person named so far, whatever they are called there."""
        heir = gallery.find_successor(*self._named) if self._named else None
        return None if heir is None else gallery.names.index(heir)

    @property
    def latest(self) -> ProbeSample:
        return self._views[-1]

    @property
    def weight(self) -> float:
        """In perfect views."""
        return sum(view.weight for view in self._views)

    @property
    def relief(self) -> float:
        """By how much the threshold is lower for what these views are: their weighted mean."""
        return (
            sum(view.weight * float(blur_threshold_offset(view.blur)) for view in self._views if view.restored is None)
            / self.weight
        )

    def means(self) -> Array:
        """3 x D, of length 1: the weighted means of the fused, the raw and the restored views; the third is the
        first again where nothing was restored."""
        both = _mean([(view.weight, view.fused) for view in self._views])
        raw = _mean([(view.weight, view.raw) for view in self._views])
        restored = [(view.weight, view.restored) for view in self._views if view.restored is not None]
        return np.stack([both, raw, _mean(restored) if restored else both])

    @property
    def restored(self) -> bool:
        """Whether any view was restored."""
        return any(view.restored is not None for view in self._views)


def _mean(weighted: Sequence[tuple[float, Array]]) -> Array:
    weights, vectors = zip(*weighted, strict=True)
    return normalize(np.asarray(weights, np.float32) @ np.stack(vectors))
