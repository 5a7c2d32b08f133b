"""Tracking accuracy of unblur and of tracking libraries, on simulated motion with ground truth.

    python -m benchmarks.tracking

The libraries need `pip install trackers==2.6.1` and `pip install --no-deps norfair==2.3.0 filterpy`, best in a separate
environment; libraries that are not installed are left out.

People walk through a 1280 x 720 frame at 30 frames a second, in both directions, swaying, some turning round, with
faces 55-90 px wide. The detector is simulated: jitter, confidence and misses depend on the speed as YuNet's do on real
faces with true motion blur (docs/design/tracking.md); an occluded face is not detected; some detections
are false.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stream.tracking.detection_schedule import DetectionScheduler
from stream.tracking.tracker import Tracker
from stream.values import Box, FaceDetection, Frame

WIDTH, HEIGHT, RATE = 1280, 720, 30
PICTURE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
POINTS = np.array([[-0.2, -0.2], [0.2, -0.2], [0, 0.1], [-0.15, 0.3], [0.15, 0.3]])
"""The five points, in widths from the middle of the face."""
TALL = 1.3
"""A face's height in widths."""
JITTER = 0.02
"""Standard deviation of a detection's place, in widths, at rest."""
SPEEDS = (2, 6, 12, 22, 30, 45)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FacePath:
    """The path of one face: N frames from `start` on."""

    start: int
    places: Floats
    width: float

    @property
    def velocities(self) -> Floats:
        return np.gradient(self.places, axis=0)


def draw_path(rng: np.random.Generator, speed: float, frames: int) -> FacePath:
    """Draw the path of a person who enters left or right and sways; one in five turns round half-way."""
    width = rng.uniform(55, 90)
    steps = int(min(WIDTH / speed, 8 * RATE))
    pace = speed * (1 + 0.15 * np.cumsum(rng.normal(0, 0.1, steps)).clip(-2, 2))
    if rng.random() < 0.2:
        turn = 0.5 + np.arange(steps) - steps / 2
        pace = pace * -np.tanh(turn / 4)
    slope = rng.uniform(-0.25, 0.25)
    along = np.cumsum(pace)
    sway = 0.08 * width * np.sin(np.arange(steps) * 2 * np.pi * 2 / RATE + rng.uniform(0, 6))
    x = along if rng.random() < 0.5 else WIDTH - along
    y = rng.uniform(200, 520) + slope * along + sway
    return FacePath(int(rng.integers(0, max(1, frames - steps // 2))), np.stack([x, y], 1), width)


@dataclass(frozen=True)
class SimulatedDetection:
    """A simulated detection with its ground truth: person (None: false detection) and velocity, in pixels per frame."""

    face: FaceDetection
    person: int | None
    velocity: Floats


def scene(seed: int, speed: float, people: int = 6, frames: int = 300) -> list[list[SimulatedDetection]]:
    """Simulate the detections of each frame, the most confident first."""
    rng = np.random.default_rng(seed)
    paths = [draw_path(rng, speed, frames) for _ in range(people)]
    return [simulate_detections(rng, paths, frame) for frame in range(frames)]


def simulate_detections(rng: np.random.Generator, paths: Sequence[FacePath], frame: int) -> list[SimulatedDetection]:
    present = {
        person: (one.places[frame - one.start], one.velocities[frame - one.start], one.width)
        for person, one in enumerate(paths)
        if 0 <= frame - one.start < len(one.places)
    }
    detections = []
    for person, (place, velocity, width) in present.items():
        occluded = any(np.hypot(*(place - present[other][0])) < 0.6 * width for other in present if other < person)
        blur = float(np.hypot(*velocity)) / width
        confidence = rng.normal(0.92 - 0.55 * max(0.0, blur - 0.25), 0.03 + 0.25 * min(blur, 0.6))
        missed = occluded or confidence < 0.4 or rng.random() < 0.05
        if not missed and 0 <= place[0] < WIDTH and 0 <= place[1] < HEIGHT:
            detected_at = place + rng.normal(0, JITTER * (1 + blur) * width, 2)
            detections.append(
                SimulatedDetection(face(detected_at, width * rng.normal(1, 0.04), confidence), person, velocity)
            )
    if rng.random() < 0.03:
        false_face = face(rng.uniform([0, 0], [WIDTH, HEIGHT]), rng.uniform(40, 100), rng.uniform(0.4, 0.72))
        detections.append(SimulatedDetection(false_face, None, np.zeros(2)))
    return sorted(detections, key=lambda each: -each.face.confidence)


def face(place: Floats, width: float, confidence: float) -> FaceDetection:
    box = Box(float(place[0] - width / 2), float(place[1] - TALL * width / 2), float(width), float(TALL * width))
    return FaceDetection(box, (place + POINTS * width).astype(np.float32), float(min(confidence, 0.99)))


TrackMatch = tuple[int, Floats | None]
"""A track's id, and its velocity in pixels per frame where the tracker gives one."""


class TestedTracker(Protocol):
    """A tracker under test."""

    name: str
    needs_detection: bool

    def step(self, index: int, faces: Sequence[FaceDetection] | None) -> dict[Box, TrackMatch]:
        """Process one frame (`faces` None: the detector did not run); return the track of each tracked detection."""
        ...


class UnblurTracker:
    """The tracker of unblur."""

    name = "unblur"

    def __init__(self) -> None:
        self._tracker = Tracker()
        self.needs_detection = False

    def step(self, index: int, faces: Sequence[FaceDetection] | None) -> dict[Box, TrackMatch]:
        update = self._tracker.update(Frame("walk", index, index, Fraction(1, RATE), None, PICTURE), faces)
        self.needs_detection = update.needs_detection
        return {
            track.box: (track.id, np.array(track.velocity) if track.hits > 1 else None)
            for track in update.tracks
            if track.detected
        }


class ByteTrack:
    """roboflow/trackers (Apache 2.0), with the true time of each detector run."""

    needs_detection = False

    def __init__(self, buffer: float) -> None:
        self.name = f"ByteTrack, boxes +{buffer:.0%}" if buffer else "ByteTrack"
        trackers, supervision = (importlib.import_module(name) for name in ("trackers", "supervision"))
        self._detections = supervision.Detections
        self._tracker = trackers.ByteTrackTracker(
            frame_rate=RATE,
            track_activation_threshold=0.65,
            high_conf_det_threshold=0.65,
            minimum_iou_threshold=0.05,
            iou=trackers.BIoU(buffer_ratio=buffer),
        )

    def step(self, index: int, faces: Sequence[FaceDetection] | None) -> dict[Box, TrackMatch]:
        if faces is None:
            return {}
        boxes = [each.box for each in faces]
        corners = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in boxes]).reshape(-1, 4)
        order = np.arange(len(boxes))
        detections = self._detections(
            xyxy=corners, confidence=np.array([each.confidence for each in faces]), data={"order": order}
        )
        tracked = self._tracker.update(detections, timestamp=index / RATE)
        states = {each.tracker_id: each.state_estimator.kf.state.ravel() for each in self._tracker.tracks}
        return {
            boxes[index]: (int(id), (states[id][4:6] + states[id][6:8]) / 2)
            for index, id in zip(tracked.data.get("order", []), tracked.tracker_id, strict=True)
            if id >= 0
        }


class Norfair:
    """tryolabs/norfair (BSD), its points the center of the face, its distance in widths."""

    name = "norfair"
    needs_detection = False

    def __init__(self, interval: int) -> None:
        self._norfair = importlib.import_module("norfair")
        self._last_index = 0
        self._tracker = self._norfair.Tracker(
            distance_function=lambda new, track: float(np.hypot(*(new.points - track.estimate)[0]) / new.data.width),
            distance_threshold=2.0,
            initialization_delay=interval,
            hit_counter_max=RATE,
            filter_factory=self._norfair.OptimizedKalmanFilterFactory(
                R=2.0, Q=1.0, pos_vel_covariance=0, vel_variance=400
            ),
        )

    def step(self, index: int, faces: Sequence[FaceDetection] | None) -> dict[Box, TrackMatch]:
        if faces is None:
            self._tracker.update()
            return {}
        period, self._last_index = max(1, index - self._last_index), index
        detections = [self._norfair.Detection(np.array([each.box.center]), data=each.box) for each in faces]
        return {
            track.last_detection.data: (track.id, track.estimate_velocity[0])
            for track in self._tracker.update(detections, period=period)
            if any(track.last_detection is each for each in detections)
        }


@dataclass
class TrackingScore:
    """The score of one tracker on some scenes, over all detections that it got."""

    people: int = 0
    true_detections: int = 0
    tracked: int = 0
    kept: int = 0
    switches: int = 0
    ids: int = 0
    false: int = 0
    detector_runs: int = 0
    frames: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.direction_errors: list[float] = []
        self.length_errors: list[float] = []

    def add(self, results: Sequence[tuple[SimulatedDetection, TrackMatch | None]]) -> None:
        """Add a scene. `results`: every detection in order, with its track."""
        pairs: Counter[tuple[int | None, int]] = Counter()
        last: dict[int, int] = {}
        for detection, match in results:
            self.true_detections += detection.person is not None
            if match is None:
                continue
            self.tracked += 1
            pairs[detection.person, match[0]] += 1
            if detection.person is not None:
                self.switches += last.get(detection.person, match[0]) != match[0]
                last[detection.person] = match[0]
                self._measure(detection.velocity, match[1])
        people, ids = sorted(last), sorted({id for _, id in pairs})
        overlap = np.array([[pairs[person, id] for id in ids] for person in people]).reshape(len(people), len(ids))
        rows, columns = linear_sum_assignment(-overlap)
        self.kept += int(overlap[rows, columns].sum())
        self.people += len(people)
        self.ids += len({(person, id) for person, id in pairs if person is not None})
        self.false += sum(pairs[None, id] > sum(pairs[person, id] for person in people) for id in ids)

    def _measure(self, true: Floats, measured: Floats | None) -> None:
        speed = float(np.hypot(*true))
        if measured is None or speed < 1:
            return
        turn = abs(np.arctan2(measured[1], measured[0]) - np.arctan2(true[1], true[0]))
        self.direction_errors.append(float(np.degrees(min(turn, 2 * np.pi - turn))))
        self.length_errors.append(abs(float(np.hypot(*measured)) / speed - 1))

    def row(self) -> str:
        """Format as Markdown: IDF1, switches and ids per person, false tracks, velocity errors (median, 9 of 10),
        detector runs, cost."""
        turns = np.percentile(self.direction_errors, [50, 90]) if self.direction_errors else np.full(2, np.nan)
        stretches = np.percentile(self.length_errors, [50, 90]) * 100 if self.length_errors else np.full(2, np.nan)
        return (
            f"{2 * self.kept / (self.true_detections + self.tracked):.3f} | {self.switches / self.people:.2f} | "
            f"{self.ids / self.people:.2f} | {self.false} | {turns[0]:.1f} / {turns[1]:.1f} | "
            f"{stretches[0]:.0f} / {stretches[1]:.0f} | {self.detector_runs / self.frames:.0%} | "
            f"{1e3 * self.seconds / self.detector_runs:.2f}"
        )


def run_tracker(
    tracker: TestedTracker, scene: Sequence[Sequence[SimulatedDetection]], interval: int | None, score: TrackingScore
) -> None:
    """Track one scene; the detector runs every `interval` frames, or as `DetectionScheduler` decides."""
    scheduler = DetectionScheduler()
    results: list[tuple[SimulatedDetection, TrackMatch | None]] = []
    for index, present in enumerate(scene):
        detect = index % interval == 0 if interval else scheduler.should_detect(tracker.needs_detection, index / RATE)
        began = time.perf_counter()
        matches = tracker.step(index, [each.face for each in present] if detect else None)
        score.seconds += time.perf_counter() - began
        score.frames += 1
        if detect:
            score.detector_runs += 1
            results += [(each, matches.get(each.face.box)) for each in present]
    score.add(results)


def tracker_factories() -> list[Callable[[int], TestedTracker]]:
    """Return a factory of each installed tracker, by the interval of the detector in frames."""
    factories: list[Callable[[int], TestedTracker]] = [lambda _: UnblurTracker()]
    if importlib.util.find_spec("trackers"):
        factories += [lambda _: ByteTrack(0.0), lambda _: ByteTrack(0.5)]
    if importlib.util.find_spec("norfair"):
        factories.append(Norfair)
    return factories


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=10, help="scenes per speed")
    parser.add_argument("--seed", type=int, default=100, help="of the first scene")
    arguments = parser.parse_args()
    print(
        "| px/frame | detect every | tracker | IDF1 | switches | ids per person | false tracks |"
        " direction off, degrees | length off, % | detector runs | ms per run |\n" + "|---" * 11 + "|"
    )
    for speed in SPEEDS:
        scenes = [scene(arguments.seed + number, speed) for number in range(arguments.scenes)]
        for make in tracker_factories():
            for interval in (1, 2, 3):
                show(speed, str(interval), [(make(interval), each) for each in scenes], interval)
        show(speed, "scheduler", [(UnblurTracker(), each) for each in scenes], None)


def show(
    speed: float,
    schedule: str,
    runs: Sequence[tuple[TestedTracker, Sequence[Sequence[SimulatedDetection]]]],
    interval: int | None,
) -> None:
    score = TrackingScore()
    for tracker, scene in runs:
        run_tracker(tracker, scene, interval, score)
    print(f"| {speed} | {schedule} | {runs[0][0].name} | {score.row()} |", flush=True)


if __name__ == "__main__":
    main()
