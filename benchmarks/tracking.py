"""How well tracks follow faces: ours beside the tracking libraries, on motion whose truth is known.

    python -m benchmarks.tracking

The libraries' rows need `pip install trackers==2.6.1` and `pip install --no-deps norfair==2.3.0 filterpy`, best in an
environment of their own; those that are not installed are left out.

People walk through a 1280 x 720 picture at 30 frames a second, in both directions, swaying, some turning round, with
faces 55-90 px wide. The detector is simulated: jitter, confidence and misses depend on the speed as YuNet's do on real
faces with true motion blur (docs/design/tracking.md); a face behind another is not detected; now and then a face is
detected where none is.
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

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Walk:
    """One person's face through time: N frames from `start` on."""

    start: int
    places: Numbers
    width: float

    @property
    def velocities(self) -> Numbers:
        return np.gradient(self.places, axis=0)


def walk(rng: np.random.Generator, speed: float, frames: int) -> Walk:
    """Somebody who comes in from the left or the right, and sways; one in five turns round half-way."""
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
    return Walk(int(rng.integers(0, max(1, frames - steps // 2))), np.stack([x, y], 1), width)


@dataclass(frozen=True)
class Glimpse:
    """One detection, with what is true of it: who it is (None: nobody) and how that face moves, in pixels per frame."""

    face: FaceDetection
    person: int | None
    velocity: Numbers


def scene(seed: int, speed: float, people: int = 6, frames: int = 300) -> list[list[Glimpse]]:
    """What the detector sees in each frame, best first."""
    rng = np.random.default_rng(seed)
    walks = [walk(rng, speed, frames) for _ in range(people)]
    return [glimpses(rng, walks, frame) for frame in range(frames)]


def glimpses(rng: np.random.Generator, walks: Sequence[Walk], frame: int) -> list[Glimpse]:
    present = {
        person: (one.places[frame - one.start], one.velocities[frame - one.start], one.width)
        for person, one in enumerate(walks)
        if 0 <= frame - one.start < len(one.places)
    }
    found = []
    for person, (place, velocity, width) in present.items():
        behind = any(np.hypot(*(place - present[other][0])) < 0.6 * width for other in present if other < person)
        blur = float(np.hypot(*velocity)) / width
        confidence = rng.normal(0.92 - 0.55 * max(0.0, blur - 0.25), 0.03 + 0.25 * min(blur, 0.6))
        missed = behind or confidence < 0.4 or rng.random() < 0.05
        if not missed and 0 <= place[0] < WIDTH and 0 <= place[1] < HEIGHT:
            seen_at = place + rng.normal(0, JITTER * (1 + blur) * width, 2)
            found.append(Glimpse(face(seen_at, width * rng.normal(1, 0.04), confidence), person, velocity))
    if rng.random() < 0.03:
        nothing = face(rng.uniform([0, 0], [WIDTH, HEIGHT]), rng.uniform(40, 100), rng.uniform(0.4, 0.72))
        found.append(Glimpse(nothing, None, np.zeros(2)))
    return sorted(found, key=lambda each: -each.face.confidence)


def face(place: Numbers, width: float, confidence: float) -> FaceDetection:
    box = Box(float(place[0] - width / 2), float(place[1] - TALL * width / 2), float(width), float(TALL * width))
    return FaceDetection(box, (place + POINTS * width).astype(np.float32), float(min(confidence, 0.99)))


Verdict = tuple[int, Numbers | None]
"""A track's id, and its velocity in pixels per frame where the tracker gives one."""


class Follower(Protocol):
    """A tracker under test."""

    name: str
    restless: bool

    def step(self, index: int, faces: Sequence[FaceDetection] | None) -> dict[Box, Verdict]:
        """Go on by a frame (`faces` None: the detector did not look); says which detections have a track."""
        ...


class Ours:
    name = "unblur"

    def __init__(self) -> None:
        self._tracker = Tracker()
        self.restless = False

    def step(self, index: int, faces: Sequence[FaceDetection] | None) -> dict[Box, Verdict]:
        update = self._tracker.update(Frame("walk", index, index, Fraction(1, RATE), None, PICTURE), faces)
        self.restless = update.needs_detection
        return {
            track.box: (track.id, np.array(track.velocity) if track.hits > 1 else None)
            for track in update.tracks
            if track.detected
        }


class ByteTrack:
    """roboflow/trackers (Apache 2.0), told the true time of each look."""

    restless = False

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

    def step(self, index: int, faces: Sequence[FaceDetection] | None) -> dict[Box, Verdict]:
        if faces is None:
            return {}
        boxes = [each.box for each in faces]
        corners = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in boxes]).reshape(-1, 4)
        order = np.arange(len(boxes))
        seen = self._detections(
            xyxy=corners, confidence=np.array([each.confidence for each in faces]), data={"order": order}
        )
        told = self._tracker.update(seen, timestamp=index / RATE)
        states = {each.tracker_id: each.state_estimator.kf.state.ravel() for each in self._tracker.tracks}
        return {
            boxes[place]: (int(id), (states[id][4:6] + states[id][6:8]) / 2)
            for place, id in zip(told.data.get("order", []), told.tracker_id, strict=True)
            if id >= 0
        }


class Norfair:
    """tryolabs/norfair (BSD), its points the middle of the face, its distance in widths."""

    name = "norfair"
    restless = False

    def __init__(self, interval: int) -> None:
        self._norfair = importlib.import_module("norfair")
        self._looked = 0
        self._tracker = self._norfair.Tracker(
            distance_function=lambda seen, track: float(np.hypot(*(seen.points - track.estimate)[0]) / seen.data.width),
            distance_threshold=2.0,
            initialization_delay=interval,
            hit_counter_max=RATE,
            filter_factory=self._norfair.OptimizedKalmanFilterFactory(
                R=2.0, Q=1.0, pos_vel_covariance=0, vel_variance=400
            ),
        )

    def step(self, index: int, faces: Sequence[FaceDetection] | None) -> dict[Box, Verdict]:
        if faces is None:
            self._tracker.update()
            return {}
        period, self._looked = max(1, index - self._looked), index
        seen = [self._norfair.Detection(np.array([each.box.center]), data=each.box) for each in faces]
        return {
            track.last_detection.data: (track.id, track.estimate_velocity[0])
            for track in self._tracker.update(seen, period=period)
            if any(track.last_detection is each for each in seen)
        }


@dataclass
class Tally:
    """How one tracker did on some scenes, over all detections that it was shown."""

    people: int = 0
    shown: int = 0
    named: int = 0
    kept: int = 0
    switches: int = 0
    ids: int = 0
    false: int = 0
    looks: int = 0
    frames: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.turns: list[float] = []
        self.stretches: list[float] = []

    def add(self, told: Sequence[tuple[Glimpse, Verdict | None]]) -> None:
        """`told`: every detection of one scene in order, with the tracker's verdict on it."""
        pairs: Counter[tuple[int | None, int]] = Counter()
        last: dict[int, int] = {}
        for glimpse, verdict in told:
            self.shown += glimpse.person is not None
            if verdict is None:
                continue
            self.named += 1
            pairs[glimpse.person, verdict[0]] += 1
            if glimpse.person is not None:
                self.switches += last.get(glimpse.person, verdict[0]) != verdict[0]
                last[glimpse.person] = verdict[0]
                self._measure(glimpse.velocity, verdict[1])
        people, ids = sorted(last), sorted({id for _, id in pairs})
        overlap = np.array([[pairs[person, id] for id in ids] for person in people]).reshape(len(people), len(ids))
        rows, columns = linear_sum_assignment(-overlap)
        self.kept += int(overlap[rows, columns].sum())
        self.people += len(people)
        self.ids += len({(person, id) for person, id in pairs if person is not None})
        self.false += sum(pairs[None, id] > sum(pairs[person, id] for person in people) for id in ids)

    def _measure(self, true: Numbers, told: Numbers | None) -> None:
        speed = float(np.hypot(*true))
        if told is None or speed < 1:
            return
        turn = abs(np.arctan2(told[1], told[0]) - np.arctan2(true[1], true[0]))
        self.turns.append(float(np.degrees(min(turn, 2 * np.pi - turn))))
        self.stretches.append(abs(float(np.hypot(*told)) / speed - 1))

    def row(self) -> str:
        """Markdown: IDF1, switches and ids per person, false tracks, velocity errors (median, 9 of 10), looks, cost."""
        turns = np.percentile(self.turns, [50, 90]) if self.turns else np.full(2, np.nan)
        stretches = np.percentile(self.stretches, [50, 90]) * 100 if self.stretches else np.full(2, np.nan)
        return (
            f"{2 * self.kept / (self.shown + self.named):.3f} | {self.switches / self.people:.2f} | "
            f"{self.ids / self.people:.2f} | {self.false} | {turns[0]:.1f} / {turns[1]:.1f} | "
            f"{stretches[0]:.0f} / {stretches[1]:.0f} | {self.looks / self.frames:.0%} | "
            f"{1e3 * self.seconds / self.looks:.2f}"
        )


def follow(follower: Follower, glimpses: Sequence[Sequence[Glimpse]], interval: int | None, tally: Tally) -> None:
    """Walk one scene; the detector looks every `interval` frames, or when `DetectionScheduler` says so."""
    cadence = DetectionScheduler()
    told: list[tuple[Glimpse, Verdict | None]] = []
    for index, present in enumerate(glimpses):
        looks = index % interval == 0 if interval else cadence.should_detect(follower.restless, index / RATE)
        began = time.perf_counter()
        verdicts = follower.step(index, [each.face for each in present] if looks else None)
        tally.seconds += time.perf_counter() - began
        tally.frames += 1
        if looks:
            tally.looks += 1
            told += [(each, verdicts.get(each.face.box)) for each in present]
    tally.add(told)


def followers() -> list[Callable[[int], Follower]]:
    """How to make each tracker that is installed, for a detector that looks every so many frames."""
    found: list[Callable[[int], Follower]] = [lambda _: Ours()]
    if importlib.util.find_spec("trackers"):
        found += [lambda _: ByteTrack(0.0), lambda _: ByteTrack(0.5)]
    if importlib.util.find_spec("norfair"):
        found.append(Norfair)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=10, help="scenes per speed")
    parser.add_argument("--seed", type=int, default=100, help="of the first scene")
    chosen = parser.parse_args()
    print(
        "| px/frame | looks every | tracker | IDF1 | switches | ids per person | false tracks |"
        " direction off, degrees | length off, % | looks | ms per look |\n" + "|---" * 11 + "|"
    )
    for speed in SPEEDS:
        scenes = [scene(chosen.seed + number, speed) for number in range(chosen.scenes)]
        for make in followers():
            for interval in (1, 2, 3):
                show(speed, str(interval), [(make(interval), each) for each in scenes], interval)
        show(speed, "cadence", [(Ours(), each) for each in scenes], None)


def show(
    speed: float, looks: str, runs: Sequence[tuple[Follower, Sequence[Sequence[Glimpse]]]], interval: int | None
) -> None:
    tally = Tally()
    for follower, glimpses in runs:
        follow(follower, glimpses, interval, tally)
    print(f"| {speed} | {looks} | {runs[0][0].name} | {tally.row()} |", flush=True)


if __name__ == "__main__":
    main()
