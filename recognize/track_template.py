"""Template of one track: its latest embeddings, the assigned name, and the detection of identity switches.

Where two people cross, or a face is occluded, a tracker may switch from one person to another. The sample is then
unlike all before; so is one of an occluded face. Two such samples in succession that are similar to each other mean
that the track shows another person.
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
"""Samples in a template: the latest ones, so that a track can get another name."""
UNLIKE = 0.25
"""Cosine similarity of raw crops below which two are unlikely to be of one person
(`benchmarks/identity_switch.py`)."""


class ProbeSample(NamedTuple):
    """Embeddings (D, of length 1) of one restored or raw crop, its weight (0..1), deblurring method and blur extent."""

    weight: float
    raw: Array
    restored: Array | None
    fused: Array
    method: Method
    blur: float


class TrackTemplate:
    """Samples and assigned name of one track. `co_visible_tracks` are tracks of the camera that were visible together
    with it, and so show other people; `identity` is the latest result."""

    def __init__(self) -> None:
        self.co_visible_tracks: set[int] = set()
        self.identity: Identity | None = None
        self._named: tuple[str, Person] | None = None
        self._samples: deque[ProbeSample] = deque(maxlen=VIEWS)
        self._pending: ProbeSample | None = None

    def add(self, sample: ProbeSample) -> TrackContinuity:
        """Add the latest sample, and return whether it shows the same person as before."""
        pending, self._pending = self._pending, None
        if not self._samples or self._similarity(sample) >= UNLIKE:
            self._samples.append(sample)
            return "same"
        if pending is None or pending.raw @ sample.raw < UNLIKE:
            self._pending = sample
            return "doubtful"
        self.co_visible_tracks, self._named = set(), None
        self._samples = deque([pending, sample], maxlen=VIEWS)
        return "another"

    def _similarity(self, sample: ProbeSample) -> float:
        """Compute the similarity to the template or to the latest sample: blur changes slowly, and equally blurred
        crops are similar."""
        return float(max(self.means()[1] @ sample.raw, self.latest.raw @ sample.raw))

    def assign_name(self, name: str | None, gallery: Gallery) -> None:
        """Assign this person of the gallery, or none."""
        self._named = None if name is None else (name, gallery.people[name])

    def assigned_index(self, gallery: Gallery) -> int | None:
        """Return the index in this gallery of the assigned person, also after a rename or merge."""
        successor = gallery.find_successor(*self._named) if self._named else None
        return None if successor is None else gallery.names.index(successor)

    @property
    def latest(self) -> ProbeSample:
        return self._samples[-1]

    @property
    def weight(self) -> float:
        """Total weight of the samples; a perfect one has 1."""
        return sum(sample.weight for sample in self._samples)

    @property
    def threshold_relief(self) -> float:
        """By how much the threshold is lower for blurred, unrestored samples: their weighted mean."""
        return (
            sum(
                sample.weight * float(blur_threshold_offset(sample.blur))
                for sample in self._samples
                if sample.restored is None
            )
            / self.weight
        )

    def means(self) -> Array:
        """Return 3 x D, of length 1: the weighted means of the fused, raw and restored embeddings; the third equals the
        first if none was restored."""
        fused = _mean([(sample.weight, sample.fused) for sample in self._samples])
        raw = _mean([(sample.weight, sample.raw) for sample in self._samples])
        restored = [(sample.weight, sample.restored) for sample in self._samples if sample.restored is not None]
        return np.stack([fused, raw, _mean(restored) if restored else fused])

    @property
    def restored(self) -> bool:
        """Whether any sample was restored."""
        return any(sample.restored is not None for sample in self._samples)


def _mean(weighted: Sequence[tuple[float, Array]]) -> Array:
    weights, vectors = zip(*weighted, strict=True)
    return normalize(np.asarray(weights, np.float32) @ np.stack(vectors))
