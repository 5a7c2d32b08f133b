"""Does unblurring find more people, and no wrong ones?

People are enrolled with sharp photographs. Their probes, and strangers, are blurred as photographs and cropped; the
crops are restored, embedded by the judge and compared with everybody enrolled. Every row of a condition sees the very
same crops. A face that is not found on the blurred photograph, where its own points are asked for, is nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors.alignment import align
from recognize.restoration_fusion import fuse, not_contradicted_by_raw, still_threshold_offset
from stream.interfaces import Detector
from stream.values import Array, Image, Restoration
from unblur.evaluate.data.blur_conditions import Condition, Shot
from unblur.evaluate.data.datasets import DatasetSplit, Photograph, middle_face
from unblur.evaluate.experiments import methods
from unblur.evaluate.experiments.methods import Makers, Probe, Restore, probe
from unblur.evaluate.experiments.reference_embedders import Judge
from unblur.evaluate.scoring.open_set_metrics import Indices, OpenSetTrial

RAW = "raw"
TRUE = "true"
SHEET = 8
"""Faces on a contact sheet."""
DUAL = ", dual"
"""Added to the name of a row: raw and restored crops decide together, by the product's rule."""


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """The people, and their gallery photographs' embeddings (G x D) with each one's place among the people."""

    people: Sequence[str]
    embeddings: Array
    owners: Indices

    @classmethod
    def of(cls, cast: DatasetSplit, judge: Judge) -> Enrolled:
        crops = [align(each.image, each.landmarks)[0] for each in cast.gallery]
        return cls(cast.people, judge.embed(crops), cast.labels(cast.gallery))

    def scores(self, embeddings: Array) -> Array:
        """N x P: the best similarity of each of N embeddings to each person's photographs."""
        similarities = embeddings @ self.embeddings.T
        best = [similarities[:, self.owners == person].max(1) for person in range(len(self.people))]
        return np.stack(best, 1).astype(np.float32)

    def ruled(self, raw: Array, restored: Array, blur: Sequence[float]) -> Array:
        """N x P: what decides, at a threshold for sharp crops, if both are heard; `blur` is 0 where a crop was left
        alone. -inf throughout where the raw crop contradicts."""
        scores = self.scores(fuse(raw, restored, blur))
        cautious = scores - still_threshold_offset(blur)[:, None]
        return np.where(not_contradicted_by_raw(scores, self.scores(raw))[:, None], cautious, np.float32(-np.inf))


Alignment = Literal["sharp", "blurred"]
"""By the five points of the sharp photograph, as a tracker would know them, or by those found on the blurred one."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One condition: the trial of each row, faces for the contact sheet, and the share of faces that were found."""

    trials: dict[str, OpenSetTrial]
    sheet: dict[str, list[Image]]
    found: float


@dataclass(frozen=True, slots=True, eq=False)
class Identification:
    """The experiment, ready to be run condition by condition; several threads may."""

    cast: DatasetSplit
    enrolled: Enrolled
    judge: Judge
    detector: Detector
    methods: Sequence[str]
    deblurrers: Makers
    seed: int

    def outcomes(self, condition: Condition, alignments: Sequence[Alignment]) -> dict[Alignment, Outcome]:
        """The same blurred photographs under each alignment."""
        photographs = [*self.cast.probes, *self.cast.strangers]
        shots = condition.shots([each.image for each in photographs], self.seed)
        return {alignment: self._outcome(condition, shots, photographs, alignment) for alignment in alignments}

    def _outcome(
        self, condition: Condition, shots: Sequence[Shot], photographs: Sequence[Photograph], alignment: Alignment
    ) -> Outcome:
        points = [
            each.landmarks if alignment == "sharp" else middle_face(self.detector, shot.image)
            for shot, each in zip(shots, photographs, strict=True)
        ]
        seen = np.array([each is not None for each in points])
        probes = [_crop(shot, each) for shot, each in zip(shots, points, strict=True) if each is not None]
        rows = methods.methods(self.methods, self.deblurrers, condition.straight)
        trials, sheet = self._rows(probes, rows, seen)
        shown = [photographs[place] for place in np.flatnonzero(seen)[:SHEET]]
        sheet[TRUE] = [align(each.image, each.landmarks)[0] for each in shown]
        return Outcome(trials, sheet, float(seen.mean()))

    def _rows(
        self, probes: Sequence[Probe], rows: Mapping[str, Restore], seen: NDArray[np.bool_]
    ) -> tuple[dict[str, OpenSetTrial], dict[str, list[Image]]]:
        images = [each.crop.image for each in probes]
        raw = self.judge.embed(images)
        trials, sheet = {RAW: self._trial(self.enrolled.scores(raw), seen)}, {RAW: images[:SHEET]}
        for name, restore in rows.items():
            restorations = restore(probes)
            sheet[name] = [each.image for each in restorations[:SHEET]]
            restored = self._embedded(raw, restorations)
            trials[name] = self._trial(self.enrolled.scores(restored), seen)
            if name not in {methods.SEED, methods.ORACLE}:
                blur = [0.0 if each.method == "none" else each.blur for each in restorations]
                trials[name + DUAL] = self._trial(self.enrolled.ruled(raw, restored, blur), seen)
        return trials, sheet

    def _embedded(self, raw: Array, restorations: Sequence[Restoration]) -> Array:
        """The embeddings of the restored crops; those left alone keep theirs."""
        embeddings = raw.copy()
        changed = [place for place, each in enumerate(restorations) if each.method != "none"]
        embeddings[changed] = self.judge.embed([restorations[place].image for place in changed])
        return embeddings

    def _trial(self, scores: Array, seen: NDArray[np.bool_]) -> OpenSetTrial:
        every = np.full((len(seen), len(self.enrolled.people)), -np.inf, np.float32)
        every[seen] = scores
        known = len(self.cast.probes)
        owners = np.unique([each.person for each in self.cast.strangers], return_inverse=True)[1]
        return OpenSetTrial(every[:known], self.cast.labels(self.cast.probes), every[known:], owners)


def _crop(shot: Shot, landmarks: Array) -> Probe:
    image, matrix = align(shot.image, landmarks)
    return probe(image, matrix, shot.kernel, shot.motion, shot.others)
