"""Baselines of the video experiment: other rules that name a track. Detector, tracker, crops, embeddings and threshold
are the program's, and nothing is restored, so that only the rule differs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from deblur.deblurrers import PassThrough
from detectors.alignment import VIEW, FivePointAligner
from detectors.yunet import IN_VIDEO
from recognize.embedders.embedder import Embedder
from recognize.gallery import people_gallery as galleries
from recognize.gallery.calibration import threshold_for
from recognize.gallery.people_gallery import Gallery
from stream.camera_stages import PipelineCamera
from stream.errors import StorageError
from stream.events.jsonl_log import to_line
from stream.identification import IdentificationWorker
from stream.interfaces import Aligner, Detector
from stream.metrics import StageMetrics
from stream.pipeline import Pipeline
from stream.results import AnnotatedFrame, Candidate, Event, FaceSample, FrameResult, FrameTime, Identity
from stream.sources.factory import open_source
from stream.tracking.analyzer import FrameAnalyzer
from stream.values import Array, FaceDetection, Frame, Restoration, Track
from unblur.assembly.components import Components

FRAMES, MAJORITY, FRIGATE = "frame-by-frame", "majority", "frigate"


class Attempt(NamedTuple):
    """The match of one crop: the most similar person, the cosine similarity, and the area of the aligned face in frame
    pixels."""

    name: str
    score: float
    area: float


class TrackRule(Protocol):
    """Names one track, updated attempt by attempt; None is unknown."""

    def update(self, attempt: Attempt) -> Candidate | None: ...


class Majority:
    """The most frequent answer of a track, where unknown is an answer, too; of equally frequent ones the earliest."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._votes: Counter[str | None] = Counter()

    def update(self, attempt: Attempt) -> Candidate | None:
        self._votes[attempt.name if attempt.score >= self._threshold else None] += 1
        name = self._votes.most_common(1)[0][0]
        return None if name is None else Candidate(name, attempt.score)


class Frigate:
    """The rule of Frigate NVR 0.16 over a track's last 12 attempts, after its source (face.py: `weighted_average`).

    A similarity becomes a confidence by a logistic function of slope 20, here placed so that the threshold is its .9,
    from which it gives a name. Attempts at or below .8 are unknown. Of the others, each person has the mean of their
    confidences, weighted by the face's area, at most 4000 pixels, times what they exceed .8 by; the person with the
    greatest sum is named, unless another person has as many attempts.
    """

    ATTEMPTS = 12
    LARGEST = 4000.0
    SLOPE = 20.0
    UNKNOWN, NAMED = 0.8, 0.9

    def __init__(self, threshold: float) -> None:
        self._midpoint = threshold - math.log(self.NAMED / (1 - self.NAMED)) / self.SLOPE
        self._attempts: deque[Attempt] = deque(maxlen=self.ATTEMPTS)

    def update(self, attempt: Attempt) -> Candidate | None:
        self._attempts.append(attempt)
        matches: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        for name, score, area in self._attempts:
            confidence = self._confidence(score)
            if confidence > self.UNKNOWN:
                matches[name].append((min(area, self.LARGEST) * (confidence - self.UNKNOWN), confidence))
        best = max(matches, key=lambda name: sum(weight * each for weight, each in matches[name]), default=None)
        if best is None or any(name != best and len(each) == len(matches[best]) for name, each in matches.items()):
            return None
        weights, confidences = zip(*matches[best], strict=True)
        mean = float(np.average(confidences, weights=weights))
        return Candidate(best, self._similarity(mean)) if mean >= self.NAMED else None

    def _confidence(self, similarity: float) -> float:
        return 1 / (1 + math.exp(-self.SLOPE * (similarity - self._midpoint)))

    def _similarity(self, confidence: float) -> float:
        return self._midpoint + math.log(confidence / (1 - confidence)) / self.SLOPE


RULES: Mapping[str, Callable[[float], TrackRule]] = {FRAMES: Majority, MAJORITY: Majority, FRIGATE: Frigate}
"""Rules by row name. Frame by frame, every detection is a separate track, so that one vote decides."""


def run_clip(clip: Path, row: str, parts: Components, gallery: Path, events: Path) -> None:
    """Run a clip with the rule of that row and write the event log. Raises GalleryError, SourceError, StorageError."""
    metrics, log = StageMetrics(), _EventList()
    people = galleries.load_gallery(gallery, parts.embedder.fingerprint)
    recognizer = RuleRecognizer(parts.embedder, people, RULES[row])
    detector, aligner = parts.detector(IN_VIDEO), FivePointAligner()
    analyzer = (
        FrameByFrameAnalyzer(detector, aligner)
        if row == FRAMES
        else FrameAnalyzer(detector, aligner, live=False, meter=metrics)
    )
    worker = IdentificationWorker(PassThrough(), recognizer, log, None, f"{clip.stem} {row}", metrics)
    Pipeline([PipelineCamera(open_source(str(clip)), analyzer, _discard_frame)], worker, metrics).run()
    try:
        events.write_text("".join(f"{to_line(event.to_json())}\n" for event in log.events), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {events}: {error.strerror}") from error


class RuleRecognizer:
    """Embeds crops and names each track by its own rule; implements `stream.interfaces.Recognizer`."""

    def __init__(self, embedder: Embedder, gallery: Gallery, rule: Callable[[float], TrackRule]) -> None:
        self._embedder = embedder
        self._gallery = gallery
        self._threshold = threshold_for(len(gallery.names))
        self._rule = rule
        self._tracks: dict[tuple[str, int], TrackRule] = {}

    def observe(self, restorations: Sequence[Restoration]) -> list[Identity]:
        scores = self._gallery.scores(self._embedder.embed([each.image for each in restorations]))
        return [self._identity(*pair) for pair in zip(restorations, scores, strict=True)]

    def reidentify(self) -> dict[tuple[str, int], Identity]:
        """Return nothing: the gallery does not change, so no track gets another name."""
        return {}

    def take_revoked(self) -> dict[tuple[str, int], Identity]:
        """Return nothing: these rules do not revoke names."""
        return {}

    def forget(self, camera: str, track: int) -> None:
        self._tracks.pop((camera, track), None)

    def _identity(self, restoration: Restoration, scores: Array) -> Identity:
        crop = restoration.crop
        best = self._gallery.candidate(int(scores.argmax()), scores)
        side = VIEW / float(np.hypot(crop.matrix[0, 0], crop.matrix[1, 0]))
        rule = self._tracks.setdefault((crop.camera, crop.track), self._rule(self._threshold))
        candidate = rule.update(Attempt(best.name, best.score, side**2))
        name, score = (candidate.name, candidate.score) if candidate else (None, best.score)
        return Identity(name, score, self._threshold, None, best.score, None, restoration.method, restoration.blur)


class FrameByFrameAnalyzer:
    """Analyzes every frame alone: each face is a new track, which ends with the next frame."""

    def __init__(self, detector: Detector, aligner: Aligner) -> None:
        self._detector = detector
        self._aligner = aligner
        self._last: list[Track] = []
        self._track_count = 0

    def should_detect(self, _pts_s: float, _patience_s: float) -> bool:
        return True

    def process(self, frame: Frame) -> FrameResult:
        ended, self._last = self._last, [self._track(frame, face) for face in self._detector.detect(frame.image)]
        crops = [(track, self._aligner.crop(frame, track)) for track in self._last]
        return FrameResult(
            frame, self._last, [FaceSample(track, crop, FrameTime.of(frame)) for track, crop in crops if crop], ended
        )

    def flush(self) -> list[FaceSample]:
        return []

    def _track(self, frame: Frame, face: FaceDetection) -> Track:
        self._track_count += 1
        no_motion = (0.0, 0.0)
        return Track(
            frame.camera,
            self._track_count,
            face.box,
            face.landmarks,
            no_motion,
            face.confidence,
            True,
            1,
            frame.index,
            frame.pts_s,
        )


class _EventList:
    """Keeps the events of one clip."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        """Nothing to close."""


def _discard_frame(scene: AnnotatedFrame) -> None:
    """Do nothing: the frames are not shown."""
