"""What others do with a track's crops, as rows beside ours: detector, tracker, crops, embeddings and threshold are the
program's own, and nothing is restored, so that only the rule differs."""

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
from stream.errors import StorageError
from stream.events.jsonl_log import to_line
from stream.identification import IdentificationWorker
from stream.interfaces import Aligner, Detector
from stream.metrics import StageMetrics
from stream.pipeline import Camera, Pipeline
from stream.results import AnnotatedFrame, Candidate, Event, FaceSample, FrameResult, FrameTime, Identity
from stream.sources.factory import open_source
from stream.tracking.analyzer import FrameAnalyzer
from stream.values import Array, FaceDetection, Frame, Restoration, Track
from unblur.assembly.components import Components

FRAMES, MAJORITY, FRIGATE = "frame-by-frame", "majority", "frigate"


class Attempt(NamedTuple):
    """What one crop says: the most similar person, the cosine similarity, and the area of the aligned face in pixels
    of the frame."""

    name: str
    score: float
    area: float


class Rule(Protocol):
    """Judges one track, attempt by attempt; None is nobody known."""

    def hear(self, attempt: Attempt) -> Candidate | None: ...


class Majority:
    """The most frequent answer, "nobody known" being one; of answers given as often, the one that was given first."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._votes: Counter[str | None] = Counter()

    def hear(self, attempt: Attempt) -> Candidate | None:
        self._votes[attempt.name if attempt.score >= self._threshold else None] += 1
        name = self._votes.most_common(1)[0][0]
        return None if name is None else Candidate(name, attempt.score)


class Frigate:
    """The rule of Frigate NVR 0.16 over a track's last 12 attempts, after its source (face.py: `weighted_average`).

    A similarity becomes a confidence by a logistic function of slope 20, here placed so that the threshold is its .9,
    from which it names somebody. Attempts at or below .8 are nobody. Of the others, each person has the mean of their
    confidences, weighted by the face's area, at most 4000 pixels, times what they exceed .8 by; the person with the
    greatest sum is named, unless somebody else was found as often.
    """

    ATTEMPTS = 12
    LARGEST = 4000.0
    SLOPE = 20.0
    NOBODY, SOMEBODY = 0.8, 0.9

    def __init__(self, threshold: float) -> None:
        self._even = threshold - math.log(self.SOMEBODY / (1 - self.SOMEBODY)) / self.SLOPE
        self._attempts: deque[Attempt] = deque(maxlen=self.ATTEMPTS)

    def hear(self, attempt: Attempt) -> Candidate | None:
        self._attempts.append(attempt)
        found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        for name, score, area in self._attempts:
            confidence = self._confidence(score)
            if confidence > self.NOBODY:
                found[name].append((min(area, self.LARGEST) * (confidence - self.NOBODY), confidence))
        best = max(found, key=lambda name: sum(weight * each for weight, each in found[name]), default=None)
        if best is None or any(name != best and len(each) == len(found[best]) for name, each in found.items()):
            return None
        weights, confidences = zip(*found[best], strict=True)
        mean = float(np.average(confidences, weights=weights))
        return Candidate(best, self._similarity(mean)) if mean >= self.SOMEBODY else None

    def _confidence(self, similarity: float) -> float:
        return 1 / (1 + math.exp(-self.SLOPE * (similarity - self._even)))

    def _similarity(self, confidence: float) -> float:
        return self._even + math.log(confidence / (1 - confidence)) / self.SLOPE


RULES: Mapping[str, Callable[[float], Rule]] = {FRAMES: Majority, MAJORITY: Majority, FRIGATE: Frigate}
"""Rules by the names of their rows. Frame by frame every detection is a track of its own: one vote decides."""


def watch(clip: Path, row: str, parts: Components, gallery: Path, events: Path) -> None:
    """Run a clip by the rule of that row, and write the event log. Raises GalleryError, SourceError, StorageError."""
    meter, log = StageMetrics(), _Log()
    known = galleries.load_gallery(gallery, parts.embedder.fingerprint)
    recognizer = Attempts(parts.embedder, known, RULES[row])
    detector, aligner = parts.detector(IN_VIDEO), FivePointAligner()
    eye = Glance(detector, aligner) if row == FRAMES else FrameAnalyzer(detector, aligner, live=False, meter=meter)
    naming = IdentificationWorker(PassThrough(), recognizer, log, None, f"{clip.stem} {row}", meter)
    Pipeline([Camera(open_source(str(clip)), eye, _unseen)], naming, meter).run()
    try:
        events.write_text("".join(f"{to_line(event.to_json())}\n" for event in log.events), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {events}: {error.strerror}") from error


class Attempts:
    """Embeds crops and leaves each track to a rule of its own; satisfies `stream.interfaces.Recognizer`."""

    def __init__(self, embedder: Embedder, gallery: Gallery, rule: Callable[[float], Rule]) -> None:
        self._embedder = embedder
        self._gallery = gallery
        self._threshold = threshold_for(len(gallery.names))
        self._rule = rule
        self._tracks: dict[tuple[str, int], Rule] = {}

    def observe(self, restorations: Sequence[Restoration]) -> list[Identity]:
        scores = self._gallery.scores(self._embedder.embed([each.image for each in restorations]))
        return [self._identity(*pair) for pair in zip(restorations, scores, strict=True)]

    def reidentify(self) -> dict[tuple[str, int], Identity]:
        """What a track was called stands: whom these know does not change."""
        return {}

    def take_revoked(self) -> dict[tuple[str, int], Identity]:
        """Nobody loses a name to others here."""
        return {}

    def forget(self, camera: str, track: int) -> None:
        self._tracks.pop((camera, track), None)

    def _identity(self, restoration: Restoration, scores: Array) -> Identity:
        crop = restoration.crop
        best = self._gallery.candidate(int(scores.argmax()), scores)
        side = VIEW / float(np.hypot(crop.matrix[0, 0], crop.matrix[1, 0]))
        rule = self._tracks.setdefault((crop.camera, crop.track), self._rule(self._threshold))
        found = rule.hear(Attempt(best.name, best.score, side**2))
        name, score = (found.name, found.score) if found else (None, best.score)
        return Identity(name, score, self._threshold, None, best.score, None, restoration.method, restoration.blur)


class Glance:
    """Looks at every frame by itself: each face is a track of its own, which ends with the next frame."""

    def __init__(self, detector: Detector, aligner: Aligner) -> None:
        self._detector = detector
        self._aligner = aligner
        self._last: list[Track] = []
        self._seen = 0

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
        self._seen += 1
        standing = (0.0, 0.0)
        return Track(
            frame.camera,
            self._seen,
            face.box,
            face.landmarks,
            standing,
            face.confidence,
            True,
            1,
            frame.index,
            frame.pts_s,
        )


class _Log:
    """Keeps the events of one clip."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        """Nothing to close."""


def _unseen(scene: AnnotatedFrame) -> None:
    """Nobody looks at the picture."""
