"""Identification experiment: does restoration name more people rightly, and no more wrongly?

People are enrolled with sharp photographs. Mated and non-mated probes are blurred as photographs and cropped; the crops
are restored, embedded by the judge and compared with all enrolled people. Every row of a condition gets the same crops.
With alignment on the blurred photograph, a face that is not detected there counts as unknown.
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
from unblur.evaluate.data.datasets import DatasetSplit, Photograph, detect_landmarks
from unblur.evaluate.experiments import methods
from unblur.evaluate.experiments.methods import DeblurrerFactories, Probe, Restore, make_probe
from unblur.evaluate.experiments.reference_embedders import ReferenceEmbedder
from unblur.evaluate.scoring.open_set_metrics import Indices, OpenSetTrial

RAW = "raw"
TRUE = "true"
SHEET = 8
"""Faces on a contact sheet."""
DUAL = ", dual"
"""Suffix of a row's name: raw and restored crops are fused, by the product's rule."""


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """The enrolled people: the embeddings of their photographs (G x D), and the index of each one's person."""

    people: Sequence[str]
    embeddings: Array
    owners: Indices

    @classmethod
    def of(cls, split: DatasetSplit, judge: ReferenceEmbedder) -> Enrolled:
        crops = [align(each.image, each.landmarks)[0] for each in split.gallery]
        return cls(split.people, judge.embed(crops), split.labels(split.gallery))

    def scores(self, embeddings: Array) -> Array:
        """Return the best similarity of each of N embeddings to each person's photographs (N x P)."""
        similarities = embeddings @ self.embeddings.T
        best = [similarities[:, self.owners == person].max(1) for person in range(len(self.people))]
        return np.stack(best, 1).astype(np.float32)

    def fused_scores(self, raw: Array, restored: Array, blur: Sequence[float]) -> Array:
        """Return the scores (N x P) of raw and restored crops fused, for the threshold of sharp crops. `blur` is 0 for
        crops that were not restored. -inf throughout where the raw crop contradicts."""
        scores = self.scores(fuse(raw, restored, blur))
        adjusted = scores - still_threshold_offset(blur)[:, None]
        return np.where(not_contradicted_by_raw(scores, self.scores(raw))[:, None], adjusted, np.float32(-np.inf))


Alignment = Literal["sharp", "blurred"]
"""Align by the five points of the sharp photograph, as from a tracker, or by those detected on the blurred one."""


@dataclass(frozen=True, slots=True, eq=False)
class ConditionResult:
    """The result of one condition: a trial for each row, faces for the contact sheet, the share of detected faces."""

    trials: dict[str, OpenSetTrial]
    sheet: dict[str, list[Image]]
    detected_share: float


@dataclass(frozen=True, slots=True, eq=False)
class Identification:
    """The experiment; `run` processes one condition and is thread-safe."""

    split: DatasetSplit
    enrolled: Enrolled
    judge: ReferenceEmbedder
    detector: Detector
    methods: Sequence[str]
    deblurrers: DeblurrerFactories
    seed: int

    def run(self, condition: Condition, alignments: Sequence[Alignment]) -> dict[Alignment, ConditionResult]:
        """Run a condition on the same blurred photographs under each alignment."""
        photographs = [*self.split.probes, *self.split.non_mated]
        shots = condition.make_shots([each.image for each in photographs], self.seed)
        return {alignment: self._run_alignment(condition, shots, photographs, alignment) for alignment in alignments}

    def _run_alignment(
        self, condition: Condition, shots: Sequence[Shot], photographs: Sequence[Photograph], alignment: Alignment
    ) -> ConditionResult:
        points = [
            each.landmarks if alignment == "sharp" else detect_landmarks(self.detector, shot.image)
            for shot, each in zip(shots, photographs, strict=True)
        ]
        detected = np.array([each is not None for each in points])
        probes = [_make_probe(shot, each) for shot, each in zip(shots, points, strict=True) if each is not None]
        rows = methods.make_rows(self.methods, self.deblurrers, condition.straight)
        trials, sheet = self._restore_rows(probes, rows, detected)
        shown = [photographs[index] for index in np.flatnonzero(detected)[:SHEET]]
        sheet[TRUE] = [align(each.image, each.landmarks)[0] for each in shown]
        return ConditionResult(trials, sheet, float(detected.mean()))

    def _restore_rows(
        self, probes: Sequence[Probe], rows: Mapping[str, Restore], detected: NDArray[np.bool_]
    ) -> tuple[dict[str, OpenSetTrial], dict[str, list[Image]]]:
        images = [each.crop.image for each in probes]
        raw = self.judge.embed(images)
        trials, sheet = {RAW: self._make_trial(self.enrolled.scores(raw), detected)}, {RAW: images[:SHEET]}
        for name, restore in rows.items():
            restorations = restore(probes)
            sheet[name] = [each.image for each in restorations[:SHEET]]
            restored = self._embed_restored(raw, restorations)
            trials[name] = self._make_trial(self.enrolled.scores(restored), detected)
            if name not in {methods.PRESET, methods.ORACLE}:
                blur = [0.0 if each.method == "none" else each.blur for each in restorations]
                trials[name + DUAL] = self._make_trial(self.enrolled.fused_scores(raw, restored, blur), detected)
        return trials, sheet

    def _embed_restored(self, raw: Array, restorations: Sequence[Restoration]) -> Array:
        """Embed the restored crops; crops that were not restored keep their raw embedding."""
        embeddings = raw.copy()
        changed = [index for index, each in enumerate(restorations) if each.method != "none"]
        embeddings[changed] = self.judge.embed([restorations[index].image for index in changed])
        return embeddings

    def _make_trial(self, scores: Array, detected: NDArray[np.bool_]) -> OpenSetTrial:
        all_scores = np.full((len(detected), len(self.enrolled.people)), -np.inf, np.float32)
        all_scores[detected] = scores
        mated = len(self.split.probes)
        owners = np.unique([each.person for each in self.split.non_mated], return_inverse=True)[1]
        return OpenSetTrial(all_scores[:mated], self.split.labels(self.split.probes), all_scores[mated:], owners)


def _make_probe(shot: Shot, landmarks: Array) -> Probe:
    image, matrix = align(shot.image, landmarks)
    return make_probe(image, matrix, shot.kernel, shot.motion, shot.neighbors)
