"""Analysis of the frames of one camera: detect, track, align and select face crops for identification."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from math import inf

import numpy as np

from stream.interfaces import Aligner, Detector
from stream.load_control import LONGEST_TURN_S, LoadController, SearchBudget
from stream.metrics import StageMetrics
from stream.results import FaceSample, FrameResult, FrameTime
from stream.tracking.crop_selector import CropSelector
from stream.tracking.detection_schedule import SIZES, DetectionScheduler
from stream.tracking.tiled_detection import Searcher, TiledDetector, small_faces
from stream.tracking.tracker import Tracker, TrackUpdate
from stream.values import Box, FaceCrop, FaceDetection, Frame, Track

FULL_SEARCH_INTERVAL_S = 0.1
"""Media time from one search of all tiles of a recording's frame to the next; in between, only tiles with small faces
are searched."""


class FrameAnalyzer:
    """Analyzes the frames of one camera. Not thread-safe. On live sources the detection rate and size adapt to the
    load."""

    def __init__(
        self,
        detector: Detector,
        aligner: Aligner,
        live: bool,
        meter: StageMetrics,
        hash_frames: bool = False,
        detect_every_frame: bool = False,
        stills: bool = False,
        budget: SearchBudget | None = None,
    ) -> None:
        """`hash_frames`: samples hold the sha256 of their frame's pixels. `detect_every_frame`: the detector runs on
        every frame, at its full size, whatever the load, and results hold all tentative boxes. `stills`: consecutive
        frames are independent images. `budget` is shared by all live cameras."""
        self._detector = TiledDetector(detector)
        self._searcher = Searcher(self._detector)
        self._largest = detector.long_side
        self._tracked_boxes: list[Box] = []
        self._full_search_s = self._searched_s = -inf
        self._aligner = aligner
        self._live = live
        self._metrics = meter
        self._hash_frames, self._detect_every_frame, self._stills = hash_frames, detect_every_frame, stills
        self._budget = budget or SearchBudget(1, LoadController())
        self._scheduler = DetectionScheduler(live, stills, lambda: self._budget.part)
        self._due: bool | None = None
        self._has_turn = False
        self._due_since_s: float | None = None
        self._tracker = Tracker()
        self._selector = CropSelector(live)
        self._history = CropHistory()
        self._needs_detection = False
        meter.observe_counter("crops passed over", lambda: self._selector.dropped)
        meter.observe_counter("tiles searched", lambda: self._searcher.searched)

    def should_detect(self, pts_s: float, patience_s: float = LONGEST_TURN_S) -> bool:
        """Whether to search the frame of this media time. Called once for each frame, in order; a frame that is neither
        searched nor displayed need not be processed. A live camera waits for its turn, at most `patience_s` seconds
        (else a later frame is searched), and should then process the newest frame that has arrived meanwhile."""
        self._end_turn()
        if (
            self._scheduler.should_detect(self._needs_detection, pts_s) or self._detect_every_frame
        ) and self._due_since_s is None:
            self._due_since_s = time.monotonic()
        self._due = self._due_since_s is not None and self._may_search(self._due_since_s, patience_s)
        if self._due:
            self._due_since_s = None
        return self._due

    def _may_search(self, since_s: float, patience_s: float) -> bool:
        """Wait for the turn of this camera; a camera that waited for `LONGEST_TURN_S` may search anyway."""
        if not self._live:
            return True
        left_s = max(0.0, since_s + LONGEST_TURN_S - time.monotonic())
        self._has_turn = self._budget.begin(
            self, LONGEST_TURN_S if self._detect_every_frame else min(patience_s, left_s)
        )
        return self._has_turn or self._detect_every_frame or left_s <= patience_s

    def process(self, frame: Frame) -> FrameResult:
        """Analyze a frame. Frames come in order."""
        due = self.should_detect(frame.pts_s) if self._due is None else self._due
        self._due = None
        faces = self._detect(frame) if due else None
        began = time.thread_time()
        with self._metrics.stage("track"):
            update = self._tracker.update(frame, faces)
        if (
            update.cut and faces is None and not self._live
        ):  # known only now: the frames after a cut may show other people
            faces = self._detect(frame)
            again = self._tracker.update(frame, faces)
            update = replace(again, ended=[*update.ended, *again.ended])
        with self._metrics.stage("crop"):
            samples = self._select(frame, update)
        if due:
            self._scheduler.record_tracking_duration(time.thread_time() - began)
        self._needs_detection = update.needs_detection
        self._tracked_boxes = [*(track.box for track in update.tracks), *update.tentative_boxes]
        tentative = (
            [*update.tentative_boxes, *_unmatched_boxes(faces or [], update.tracks)] if self._detect_every_frame else []
        )
        return FrameResult(frame, update.tracks, samples, update.ended, tentative)

    def flush(self) -> list[FaceSample]:
        """End of the source: return the samples that were still waiting for their turn."""
        self._end_turn()
        self._budget.leave(self)
        ended = self._tracker.finish()
        return [sample for track in ended if (sample := self._selector.flush(track.id))]

    def _detect(self, frame: Frame) -> list[FaceDetection]:
        if self._live and not self._detect_every_frame:
            self._detector.long_side = round(self._largest * self._scheduler.long_side / SIZES[0])
        began = time.thread_time()
        with self._metrics.stage("detect"):
            faces = self._detector.search_whole(frame.image)
            self._scheduler.record_duration(time.thread_time() - began)
            faces = self._refine(frame, faces)
        self._end_turn()
        self._metrics.record_search(frame.camera)
        self._metrics.count("faces", len(faces), frame.camera)
        return faces

    def _refine(self, frame: Frame, whole: list[FaceDetection]) -> list[FaceDetection]:
        """Add the small faces of a large frame, from its tiles. A recording has all tiles searched at a fixed
        interval."""
        small = small_faces(self._tracked_boxes, frame.image, self._detector.long_side)
        if self._live and not self._detect_every_frame:
            elapsed_s, self._searched_s = frame.pts_s - self._searched_s, frame.pts_s
            return self._searcher.refine_within(frame.image, whole, small, self._scheduler.spare_s(min(elapsed_s, 1.0)))
        thorough = (
            self._detect_every_frame
            or self._stills
            or not 0 <= frame.pts_s - self._full_search_s < FULL_SEARCH_INTERVAL_S
        )
        if thorough:
            self._full_search_s = frame.pts_s
        return self._searcher.refine(frame.image, whole, small, thorough)

    def _end_turn(self) -> None:
        had, self._has_turn = self._has_turn, False
        if had:
            self._budget.end()

    def _select(self, frame: Frame, update: TrackUpdate) -> list[FaceSample]:
        cut_out = self._cut_out(frame, [track for track in update.tracks if track.detected])
        due = [self._selector.push(sample) for sample in cut_out]
        late = [self._selector.flush(track.id) for track in update.ended]
        for track in update.ended:
            self._history.forget(track.id)
        return [sample for sample in [*due, *late] if sample]

    def _cut_out(self, frame: Frame, tracks: Sequence[Track]) -> list[FaceSample]:
        crops = [(track, crop) for track in tracks if (crop := self._aligner.crop(frame, track))]
        pixels = sha256(np.ascontiguousarray(frame.image).data).hexdigest() if crops and self._hash_frames else None
        visible = frozenset(track.id for track in tracks)
        return [
            FaceSample(
                track,
                replace(self._history.attach_neighbors(crop), co_visible_tracks=visible - {track.id}),
                FrameTime.of(frame),
                pixels,
            )
            for track, crop in crops
        ]


def _unmatched_boxes(faces: Sequence[FaceDetection], tracks: Sequence[Track]) -> list[Box]:
    """Boxes of the detections that belong to no track."""
    return [face.box for face in faces if not any(_contains_center(face.box, track.box) for track in tracks)]


def _contains_center(face: Box, track: Box) -> bool:
    x, y = face.center
    return track.x <= x <= track.x + track.width and track.y <= y <= track.y + track.height


NEIGHBORS = 2
"""Number of neighbor crops: as many as the network has inputs for."""


class CropHistory:
    """The latest crops of each track of one camera."""

    def __init__(self) -> None:
        self._latest: dict[int, tuple[FaceCrop, ...]] = {}

    def attach_neighbors(self, crop: FaceCrop) -> FaceCrop:
        """Return the crop with the previous crops of its track as neighbors, and remember it as one of them."""
        before = self._latest.get(crop.track, ())
        self._latest[crop.track] = (crop, *before)[:NEIGHBORS]
        return replace(crop, neighbors=before)

    def forget(self, track: int) -> None:
        """The track has ended."""
        self._latest.pop(track, None)
