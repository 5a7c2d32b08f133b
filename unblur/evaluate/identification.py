"""Does unblurring find more people, and no wrong ones?

People are enrolled with sharp photographs. Their probes, and strangers, are blurred as photographs and cropped; the
crops are restored, embedded by the judge and compared with everybody enrolled. Every row of a condition sees the very
same crops. A face that is not found on the blurred photograph, where its own points are asked for, is nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detectors.align import align
from stream.data import Array, Image
from stream.stages import Detector
from unblur.evaluate import methods
from unblur.evaluate.conditions import Condition, Shot
from unblur.evaluate.judges import Judge
from unblur.evaluate.methods import Makers, Probe, Restore, probe
from unblur.evaluate.people import Cast, Photograph, middle_face
from unblur.evaluate.rates import Indices, Trial

RAW = "raw"
TRUE = "true"
SHEET = 8
"""Faces on a contact sheet."""
Rule = Callable[[Array, Array], Array]
"""From the similarities of raw and of restored crops (N x P each) to those that decide."""


def restored_alone(_: Array, restored: Array) -> Array:
    return restored


def sum_rule(raw: Array, restored: Array) -> Array:
    """Both count alike; Kittler et al., "On combining classifiers", PAMI 1998."""
    return np.asarray((raw + restored) / 2, np.float32)


RULES: Mapping[str, Rule] = {"": restored_alone, ", dual": sum_rule}
"""What the row of a deblurrer, and the further rows beside it, decide by; the key is added to the row's name."""


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """The people, and their gallery photographs' embeddings (G x D) with each one's place among the people."""

    people: Sequence[str]
    embeddings: Array
    owners: Indices

    @classmethod
    def of(cls, cast: Cast, judge: Judge) -> Enrolled:
        crops = [align(each.image, each.landmarks)[0] for each in cast.gallery]
        return cls(cast.people, judge.embed(crops), cast.labels(cast.gallery))

    def scores(self, embeddings: Array) -> Array:
        """N x P: the best similarity of each of N embeddings to each person's photographs."""
        similarities = embeddings @ self.embeddings.T
        best = [similarities[:, self.owners == person].max(1) for person in range(len(self.people))]
        return np.stack(best, 1).astype(np.float32)


Alignment = Literal["sharp", "blurred"]
"""By the five points of the sharp photograph, as a tracker would know them, or by those found on the blurred one."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One condition: the trial of each row, faces for the contact sheet, and the share of faces that were found."""

    trials: dict[str, Trial]
    sheet: dict[str, list[Image]]
    found: float


@dataclass(frozen=True, slots=True, eq=False)
class Identification:
    """The experiment, ready to be run condition by condition; several threads may."""

    cast: Cast
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
    ) -> tuple[dict[str, Trial], dict[str, list[Image]]]:
        raw = [each.crop.image for each in probes]
        raw_scores = self._scores(raw)
        trials, sheet = {RAW: self._trial(raw_scores, seen)}, {RAW: raw[:SHEET]}
        for name, restore in rows.items():
            restored = restore(probes)
            sheet[name] = restored[:SHEET]
            scores = self._rescored(raw_scores, raw, restored)
            for suffix, rule in _rules(name).items():
                trials[name + suffix] = self._trial(rule(raw_scores, scores), seen)
        return trials, sheet

    def _rescored(self, raw_scores: Array, raw: Sequence[Image], restored: Sequence[Image]) -> Array:
        """The scores of the restored crops; those left alone keep theirs."""
        scores = raw_scores.copy()
        changed = [place for place, image in enumerate(restored) if image is not raw[place]]
        scores[changed] = self._scores([restored[place] for place in changed])
        return scores

    def _scores(self, images: Sequence[Image]) -> Array:
        return self.enrolled.scores(self.judge.embed(images))

    def _trial(self, scores: Array, seen: NDArray[np.bool_]) -> Trial:
        every = np.full((len(seen), len(self.enrolled.people)), -np.inf, np.float32)
        every[seen] = scores
        known = len(self.cast.probes)
        owners = np.unique([each.person for each in self.cast.strangers], return_inverse=True)[1]
        return Trial(every[:known], self.cast.labels(self.cast.probes), every[known:], owners)


def _crop(shot: Shot, landmarks: Array) -> Probe:
    image, matrix = align(shot.image, landmarks)
    return probe(image, matrix, shot.kernel, shot.motion)


def _rules(name: str) -> Mapping[str, Rule]:
    return {"": restored_alone} if name in {methods.SEED, methods.ORACLE} else RULES
