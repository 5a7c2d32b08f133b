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
"""Confidence from which one detection is enough to report a track; others wait for a second."""

MAX_COAST_S = 0.3
"""Seconds for which a face that is not seen is still reported, carried by its motion."""

LOST_TRACK_BUFFER_S = 1.0
"""Seconds after which an unseen face is given up; until then it may be found again."""

MIN_HITS = 4
"""Detections from which a track's velocity is known well."""

FAST = 0.1
"""Widths per frame from which a face is fast."""

REACH = 3.0
"""Widths from its expected place beyond which a detection is another face, however uncertain the motion."""

ASSOCIATION_GATE = 4.0
"""Standard deviations, of position, size and look together, beyond which a detection is another face."""

SIZE_STD = 0.15
"""Standard deviation of the logarithm of a face's width from one detection to the next."""

SLACK = 0.2
"""Standard deviation, in widths, of what a constant velocity does not foresee."""

APPEARANCE_STD = 0.12
"""Standard deviation of a face's unlikeness from one detection to the next (different faces: mostly 0.3 to 0.8)."""

FORBIDDEN_COST = 1e6
"""The cost of a pair that must not be."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A detection as the tracker sees it: when, what it looks like, and where: half by its box, half by its points,
    whose errors partly cancel."""

    face: FaceDetection
    place: Point
    pattern: Array
    index: int
    pts_s: float

    @classmethod
    def of(cls, face: FaceDetection, frame: Frame) -> Observation:
        place = (np.array(face.box.center) + face.landmarks.mean(0)) / 2
        return cls(face, place, appearance.of_face(frame.image, face.box), frame.index, frame.pts_s)


class TrackState:
    """A track while it is followed; a rumour without an id until it is reported."""

    def __init__(self, sighting: Observation) -> None:
        self.id = 0
        self.motion = ConstantVelocityKalman(sighting.place, sighting.face.box.width)
        self.pattern = sighting.pattern
        self.detected = True
        self.missed = False
        self.last: Track | None = None
        self._first = self._latest = sighting
        self._seen_at = self.motion.position
        self._hits = 1

    @property
    def seen_s(self) -> float:
        """When it was seen last, in media time."""
        return self._latest.pts_s

    @property
    def is_real(self) -> bool:
        return self._hits > 1 or self._latest.face.confidence >= INSTANT_CONFIRMATION

    def advance(self, seconds: float) -> None:
        self.motion.advance(seconds)
        self.detected = False

    def see(self, sighting: Observation) -> None:
        self.motion.correct(sighting.place, sighting.face.box.width, sighting.pts_s - self.seen_s)
        self.pattern = sighting.pattern
        self.detected = True
        self._latest, self._seen_at = sighting, self.motion.position
        self._hits += 1

    def is_lost(self, frame: Frame) -> bool:
        """Not seen though the detector looked, and not worth the wait: out of the picture, or still a rumour."""
        height, width = frame.image.shape[:2]
        x, y = self.motion.position
        outside = not (0 <= x < width and 0 <= y < height)
        return not self.detected and (outside or not self.is_real)

    def is_restless(self, now: float, interval: float) -> bool:
        """Whether to carry it over some frames is a risk: new, fast for its size, or just missed."""
        fast = float(np.hypot(*self.motion.velocity)) * interval > FAST * self.motion.width
        return now - self.seen_s <= MAX_COAST_S and (self._hits < MIN_HITS or fast or self.missed)

    def covers(self, sighting: Observation) -> bool:
        """Whether a detection lies so near that it shows this face a second time."""
        return float(np.hypot(*(sighting.place - self.motion.position))) < self.motion.width / 2

    @property
    def place(self) -> Box:
        """Where it is by now, as far as its motion tells."""
        x, y = np.zeros(2) if self.detected else self.motion.position - self._seen_at
        return self._latest.face.box.shifted(float(x), float(y))

    def report(self, frame: Frame, interval: float) -> Track:
        moved = np.zeros(2) if self.detected else self.motion.position - self._seen_at
        velocity = self.motion.velocity * interval
        face = self._latest.face
        track = Track(
            camera=frame.camera,
            id=self.id,
            box=self.place,
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
        """Seconds since the frame before; 0 for the first, negative where time ran backwards. Pictures of the camera
        that were left out in between count by the gap in the frames' index."""
        before, self._index = self._index, frame.index
        elapsed = 0.0 if self._now is None else frame.pts_s - self._now
        self._now = frame.pts_s
        if elapsed > 0:
            self._steps.append(elapsed / max(1, frame.index - before))
        return elapsed

    @property
    def interval(self) -> float:
        """The usual time from frame to frame; 0 before there were two."""
        return median(self._steps) if self._steps else 0.0


def match(paths: Sequence[TrackState], sightings: Sequence[Observation]) -> tuple[list[TrackState], list[Observation]]:
    """Give paths the sightings that together fit them best; returns the paths and the sightings that are left over."""
    costs = association_costs(paths, sightings)
    pairs = {int(row): int(column) for row, column in zip(*linear_sum_assignment(costs), strict=True)}
    pairs = {row: column for row, column in pairs.items() if costs[row, column] < FORBIDDEN_COST}
    for row, column in pairs.items():
        paths[row].see(sightings[column])
    left = [path for row, path in enumerate(paths) if row not in pairs]
    return left, [each for column, each in enumerate(sightings) if column not in pairs.values()]


def association_costs(paths: Sequence[TrackState], sightings: Sequence[Observation]) -> NDArray[np.float64]:
    """Paths x sightings: the negative logarithm of the likelihood that they belong together, FORBIDDEN where absurd."""
    if not paths or not sightings:
        return np.zeros((len(paths), len(sightings)))
    widths = np.array([[path.motion.width] for path in paths])
    spreads = np.hypot([[path.motion.spread] for path in paths], SLACK * widths)
    expected, found = np.array([path.motion.position for path in paths]), np.array([each.place for each in sightings])
    distances = np.linalg.norm(found - expected[:, None], axis=2)
    sizes = np.log(np.array([each.face.box.width for each in sightings]) / widths) / SIZE_STD
    looks = (
        appearance.appearance_distance([path.pattern for path in paths], [each.pattern for each in sightings])
        / APPEARANCE_STD
    )
    misfits = (distances / spreads) ** 2 + sizes**2 + looks**2
    absurd = (misfits > ASSOCIATION_GATE**2) | (distances > REACH * widths)
    return np.where(absurd, FORBIDDEN_COST, misfits / 2 + 2 * np.log(spreads))
