"""Association of detections with tracks: the state of a track, the cost of a pair, and the assignment (Hungarian)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stream.tracking import appearance
from stream.tracking.kalman import ConstantVelocityKalman, Point
from stream.values import Array, Box, FaceDetection, Frame, Track

INSTANT_CONFIRMATION = 0.8
"""Confidence from which one detection confirms a track; below it, a second detection is needed."""

MAX_COAST_S = 0.3
"""Seconds for which a track without detections is still reported, predicted by its motion."""

LOST_TRACK_BUFFER_S = 1.0
"""Seconds without a detection after which a track ends; until then it may be found again."""

MIN_HITS = 4
"""Detections from which a track's velocity is known well."""

FAST = 0.1
"""Speed, in face widths per frame, from which a face is fast."""

REACH = 3.0
"""Distance from the expected position, in face widths, beyond which a detection is another face, however uncertain the
motion."""

ASSOCIATION_GATE = 4.0
"""Standard deviations, of position, size and appearance together, beyond which a detection is another face."""

SIZE_STD = 0.15
"""Standard deviation of the logarithm of a face's width from one detection to the next."""

SLACK = 0.2
"""Standard deviation, in face widths, of the motion that a constant velocity does not predict."""

APPEARANCE_STD = 0.12
"""Standard deviation of the appearance distance of a face between detections (different faces: mostly 0.3 to 0.8)."""

FORBIDDEN_COST = 1e6
"""The cost of a pair that is not allowed."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A detection with its time, appearance and position: the mean of the box's center and the landmarks' center, whose
    errors partly cancel."""

    face: FaceDetection
    position: Point
    pattern: Array
    index: int
    pts_s: float

    @classmethod
    def of(cls, face: FaceDetection, frame: Frame) -> Observation:
        place = (np.array(face.box.center) + face.landmarks.mean(0)) / 2
        return cls(face, place, appearance.of_face(frame.image, face.box), frame.index, frame.pts_s)


class TrackState:
    """State of a track; tentative, with id 0, until it is reported."""

    def __init__(self, observation: Observation) -> None:
        self.id = 0
        self.motion = ConstantVelocityKalman(observation.position, observation.face.box.width)
        self.pattern = observation.pattern
        self.detected = True
        self.missed = False
        self.last: Track | None = None
        self._first = self._latest = observation
        self._detected_position = self.motion.position
        self._hits = 1

    @property
    def last_seen_s(self) -> float:
        """Media time of the latest detection."""
        return self._latest.pts_s

    @property
    def is_confirmed(self) -> bool:
        return self._hits > 1 or self._latest.face.confidence >= INSTANT_CONFIRMATION

    def advance(self, seconds: float) -> None:
        self.motion.advance(seconds)
        self.detected = False

    def update(self, observation: Observation) -> None:
        self.motion.correct(observation.position, observation.face.box.width, observation.pts_s - self.last_seen_s)
        self.pattern = observation.pattern
        self.detected = True
        self._latest, self._detected_position = observation, self.motion.position
        self._hits += 1

    def is_lost(self, frame: Frame) -> bool:
        """Whether a track that the detector missed ends at once: outside the frame, or still tentative."""
        height, width = frame.image.shape[:2]
        x, y = self.motion.position
        outside = not (0 <= x < width and 0 <= y < height)
        return not self.detected and (outside or not self.is_confirmed)

    def needs_detection(self, now: float, interval: float) -> bool:
        """Whether prediction over some frames is unsafe: new, fast for its size, or just missed."""
        fast = float(np.hypot(*self.motion.velocity)) * interval > FAST * self.motion.width
        return now - self.last_seen_s <= MAX_COAST_S and (self._hits < MIN_HITS or fast or self.missed)

    def covers(self, observation: Observation) -> bool:
        """Whether a detection is so near that it is a duplicate of this face."""
        return float(np.hypot(*(observation.position - self.motion.position))) < self.motion.width / 2

    @property
    def expected_box(self) -> Box:
        """The predicted box at the current frame."""
        x, y = np.zeros(2) if self.detected else self.motion.position - self._detected_position
        return self._latest.face.box.shifted(float(x), float(y))

    def report(self, frame: Frame, interval: float) -> Track:
        moved = np.zeros(2) if self.detected else self.motion.position - self._detected_position
        velocity = self.motion.velocity * interval
        face = self._latest.face
        track = Track(
            camera=frame.camera,
            id=self.id,
            box=self.expected_box,
            landmarks=(face.landmarks + moved).astype(np.float32),
            velocity=(float(velocity[0]), float(velocity[1])),
            confidence=face.confidence,
            detected=self.detected,
            hits=self._hits,
            first_frame=self._first.index,
            first_pts_s=self._first.pts_s,
        )
        if self.detected:
            self.last = track
        return track


class FrameClock:
    """Media time between frames, in seconds."""

    def __init__(self) -> None:
        self._now: float | None = None
        self._index = 0
        self._steps: deque[float] = deque(maxlen=31)

    def tick(self, frame: Frame) -> float:
        """Seconds since the previous frame; 0 for the first, negative where time ran backwards. Skipped frames count by
        the gap in the index."""
        before, self._index = self._index, frame.index
        elapsed = 0.0 if self._now is None else frame.pts_s - self._now
        self._now = frame.pts_s
        if elapsed > 0:
            self._steps.append(elapsed / max(1, frame.index - before))
        return elapsed

    @property
    def interval(self) -> float:
        """The median time from frame to frame; 0 before there were two."""
        return median(self._steps) if self._steps else 0.0


def match(
    tracks: Sequence[TrackState], observations: Sequence[Observation]
) -> tuple[list[TrackState], list[Observation]]:
    """Assign observations to tracks at the least total cost; returns the tracks and observations without a partner."""
    costs = association_costs(tracks, observations)
    pairs = {int(row): int(column) for row, column in zip(*linear_sum_assignment(costs), strict=True)}
    pairs = {row: column for row, column in pairs.items() if costs[row, column] < FORBIDDEN_COST}
    for row, column in pairs.items():
        tracks[row].update(observations[column])
    unmatched = [track for row, track in enumerate(tracks) if row not in pairs]
    return unmatched, [each for column, each in enumerate(observations) if column not in pairs.values()]


def association_costs(tracks: Sequence[TrackState], observations: Sequence[Observation]) -> NDArray[np.float64]:
    """Tracks x observations: the negative log-likelihood of each pair, FORBIDDEN_COST outside the gate."""
    if not tracks or not observations:
        return np.zeros((len(tracks), len(observations)))
    widths = np.array([[track.motion.width] for track in tracks])
    spreads = np.hypot([[track.motion.spread] for track in tracks], SLACK * widths)
    expected, observed = (
        np.array([track.motion.position for track in tracks]),
        np.array([each.position for each in observations]),
    )
    distances = np.linalg.norm(observed - expected[:, None], axis=2)
    sizes = np.log(np.array([each.face.box.width for each in observations]) / widths) / SIZE_STD
    appearances = (
        appearance.appearance_distance([track.pattern for track in tracks], [each.pattern for each in observations])
        / APPEARANCE_STD
    )
    misfits = (distances / spreads) ** 2 + sizes**2 + appearances**2
    forbidden = (misfits > ASSOCIATION_GATE**2) | (distances > REACH * widths)
    return np.where(forbidden, FORBIDDEN_COST, misfits / 2 + 2 * np.log(spreads))
