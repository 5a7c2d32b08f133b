"""Does unblurring find more people, and no wrong ones?

People are enrolled with sharp photographs. Their probes, and strangers, are blurred as photographs and cropped; the
crops are restored, embedded by the judge and compared with everybody enrolled. Every row of a condition sees the very
same crops. Aligned twice: by the five points of the sharp face, which stand in for a tracker's, and by those found on
the blurred photograph itself, where a face that is not found is nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.align import align
from stream.data import Array, Image
from stream.stages import Detector
from unblur.evaluate import methods
from unblur.evaluate.conditions import Condition, Shot
from unblur.evaluate.judges import Judge
from unblur.evaluate.methods import Makers, Probe, probe
from unblur.evaluate.people import Cast, middle_face
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


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One condition: the trial of each row, the faces for the contact sheet, and the share of probes and strangers
    found on the blurred photographs (None where the sharp ones' points serve)."""

    trials: dict[str, Trial]
    sheet: dict[str, list[Image]]
    found: float | None


Aligned = Sequence[Probe | None]
"""Crops of probes and strangers, in order; None where no face was found."""


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

    def outcomes(self, condition: Condition) -> tuple[Outcome, Outcome]:
        """Aligned by the sharp photographs, and by the blurred ones."""
        photographs = [*self.cast.probes, *self.cast.strangers]
        shots = condition.shots([each.image for each in photographs], self.seed)
        tracked = [_crop(shot, each.landmarks) for shot, each in zip(shots, photographs, strict=True)]
        own = [_crop(shot, middle_face(self.detector, shot.image)) for shot in shots]
        true = [align(each.image, each.landmarks)[0] for each in photographs[:SHEET]]
        outcome = self._outcome(condition, tracked, None)
        outcome.sheet[TRUE] = true
        return outcome, self._outcome(condition, own, float(np.mean([each is not None for each in own])))

    def _outcome(self, condition: Condition, aligned: Aligned, found: float | None) -> Outcome:
        probes = [each for each in aligned if each is not None]
        seen = np.array([each is not None for each in aligned])
        raw = [each.crop.image for each in probes]
        raw_scores = self._scores(raw)
        outcome = Outcome({RAW: self._trial(raw_scores, seen)}, {RAW: raw[:SHEET]}, found)
        for name, restore in methods.methods(self.methods, self.deblurrers, condition.straight).items():
            restored = restore(probes)
            outcome.sheet[name] = restored[:SHEET]
            changed = np.array([one is not other for one, other in zip(restored, raw, strict=True)])
            scores = raw_scores.copy()
            scores[changed] = self._scores([image for image, new in zip(restored, changed, strict=True) if new])
            for suffix, rule in _rules(name).items():
                outcome.trials[name + suffix] = self._trial(rule(raw_scores, scores), seen)
        return outcome

    def _scores(self, images: Sequence[Image]) -> Array:
        return self.enrolled.scores(self.judge.embed(images))

    def _trial(self, scores: Array, seen: NDArray[np.bool_]) -> Trial:
        every = np.full((len(seen), len(self.enrolled.people)), -np.inf, np.float32)
        every[seen] = scores
        known = len(self.cast.probes)
        owners = np.unique([each.person for each in self.cast.strangers], return_inverse=True)[1]
        return Trial(every[:known], self.cast.labels(self.cast.probes), every[known:], owners)


def _crop(shot: Shot, landmarks: Array | None) -> Probe | None:
    if landmarks is None:
        return None
    image, matrix = align(shot.image, landmarks)
    return probe(image, matrix, shot.kernel, shot.motion)


def _rules(name: str) -> Mapping[str, Rule]:
    return {"": restored_alone} if name in {methods.SEED, methods.ORACLE} else RULES
