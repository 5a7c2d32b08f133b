"""Watching one camera: faces are found, followed, and cut out for a look at them."""

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
"""Media time from one search of all tiles of a recording's picture to the next; between, those with small faces in them
are searched."""


class FrameAnalyzer:
    """The eye of one camera; used by one thread. A live camera's detector follows the load."""

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
        """`accountable`: looks know the sha256 of the pixels that they were cut from. `watchful`: the detector looks at
        every frame, as closely as it can, whatever the load, and every place where a face may be is told. `stills`: the
        next picture need not show what the last did. `budget` is what all live cameras have together."""
        self._detector = TiledDetector(detector)
        self._searcher = Searcher(self._detector)
        self._largest = detector.long_side
        self._followed: list[Box] = []
        self._thorough_s = self._searched_s = -inf
        self._aligner = aligner
        self._live = live
        self._meter = meter
        self._accountable, self._watchful, self._stills = hash_frames, detect_every_frame, stills
        self._budget = budget or SearchBudget(1, LoadController())
        self._cadence = DetectionScheduler(live, stills, lambda: self._budget.part)
        self._due: bool | None = None
        self._has_turn = False
        self._due_since_s: float | None = None
        self._tracker = Tracker()
        self._shortlist = CropSelector(live)
        self._company = CropHistory()
        self._restless = False
        meter.observe_counter("crops passed over", lambda: self._shortlist.dropped)
        meter.observe_counter("tiles searched", lambda: self._searcher.searched)

    def should_detect(self, pts_s: float, patience_s: float = LONGEST_TURN_S) -> bool:
        """Whether the picture of this media time is to be searched. Asked once for each, in order; the picture need
        only be seen if it is, or if somebody watches. A live camera waits for its turn, and should then see the newest
        picture that has come meanwhile; if its turn does not come within `patience_s`, a later picture is searched."""
        self._end_turn()
        if (self._cadence.should_detect(self._restless, pts_s) or self._watchful) and self._due_since_s is None:
            self._due_since_s = time.monotonic()
        self._due = self._due_since_s is not None and self._may_search(self._due_since_s, patience_s)
        if self._due:
            self._due_since_s = None
        return self._due

    def _may_search(self, since_s: float, patience_s: float) -> bool:
        """Nobody waits for a turn for ever."""
        if not self._live:
            return True
        left_s = max(0.0, since_s + LONGEST_TURN_S - time.monotonic())
        self._has_turn = self._budget.begin(self, LONGEST_TURN_S if self._watchful else min(patience_s, left_s))
        return self._has_turn or self._watchful or left_s <= patience_s

    def process(self, frame: Frame) -> FrameResult:
        """What this frame shows. Frames come in order."""
        due = self.should_detect(frame.pts_s) if self._due is None else self._due
        self._due = None
        faces = self._detected(frame) if due else None
        began = time.thread_time()
        with self._meter.stage("track"):
            update = self._tracker.update(frame, faces)
        if update.cut and faces is None and not self._live:  # known only now: what follows may show somebody else
            faces = self._detected(frame)
            again = self._tracker.update(frame, faces)
            update = replace(again, ended=[*update.ended, *again.ended])
        with self._meter.stage("crop"):
            looks = self._looks(frame, update)
        if due:
            self._cadence.followed(time.thread_time() - began)
        self._restless = update.needs_detection
        self._followed = [*(track.box for track in update.tracks), *update.rumours]
        others = [*update.rumours, *_apart(faces or [], update.tracks)] if self._watchful else []
        return FrameResult(frame, update.tracks, looks, update.ended, others)

    def flush(self) -> list[FaceSample]:
        """The source has ended: the looks that were still waiting for their turn."""
        self._end_turn()
        self._budget.leave(self)
        ended = self._tracker.finish()
        return [look for track in ended if (look := self._shortlist.flush(track.id))]

    def _detected(self, frame: Frame) -> list[FaceDetection]:
        if self._live and not self._watchful:
            self._detector.long_side = round(self._largest * self._cadence.long_side / SIZES[0])
        began = time.thread_time()
        with self._meter.stage("detect"):
            faces = self._detector.search_whole(frame.image)
            self._cadence.record_duration(time.thread_time() - began)
            faces = self._refined(frame, faces)
        self._end_turn()
        self._meter.searched(frame.camera)
        self._meter.count("faces", len(faces), frame.camera)
        return faces

    def _refined(self, frame: Frame, whole: list[FaceDetection]) -> list[FaceDetection]:
        """With the small faces of a large picture. A recording's tiles are all searched as often as a calm picture."""
        small = small_faces(self._followed, frame.image, self._detector.long_side)
        if self._live and not self._watchful:
            elapsed_s, self._searched_s = frame.pts_s - self._searched_s, frame.pts_s
            return self._searcher.refine_within(frame.image, whole, small, self._cadence.spare_s(min(elapsed_s, 1.0)))
        thorough = self._watchful or self._stills or not 0 <= frame.pts_s - self._thorough_s < FULL_SEARCH_INTERVAL_S
        if thorough:
            self._thorough_s = frame.pts_s
        return self._searcher.refine(frame.image, whole, small, thorough)

    def _end_turn(self) -> None:
        had, self._has_turn = self._has_turn, False
        if had:
            self._budget.end()

    def _looks(self, frame: Frame, update: TrackUpdate) -> list[FaceSample]:
        seen = self._seen(frame, [track for track in update.tracks if track.detected])
        due = [self._shortlist.push(look) for look in seen]
        late = [self._shortlist.flush(track.id) for track in update.ended]
        for track in update.ended:
            self._company.forget(track.id)
        return [look for look in [*due, *late] if look]

    def _seen(self, frame: Frame, tracks: Sequence[Track]) -> list[FaceSample]:
        crops = [(track, crop) for track in tracks if (crop := self._aligner.crop(frame, track))]
        pixels = sha256(np.ascontiguousarray(frame.image).data).hexdigest() if crops and self._accountable else None
        shown = frozenset(track.id for track in tracks)
        return [
            FaceSample(
                track,
                replace(self._company.attach_neighbors(crop), co_visible_tracks=shown - {track.id}),
                FrameTime.of(frame),
                pixels,
            )
            for track, crop in crops
        ]


def _apart(faces: Sequence[FaceDetection], tracks: Sequence[Track]) -> list[Box]:
    """Where faces were found that are none of the tracks'."""
    return [face.box for face in faces if not any(_is_of(face.box, track.box) for track in tracks)]


def _is_of(face: Box, track: Box) -> bool:
    x, y = face.center
    return track.x <= x <= track.x + track.width and track.y <= y <= track.y + track.height


NEIGHBORS = 2
"""Crops that go with one: as many as the network looks at."""


class CropHistory:
    """The latest crops of each track of one camera."""

    def __init__(self) -> None:
        self._latest: dict[int, tuple[FaceCrop, ...]] = {}

    def attach_neighbors(self, crop: FaceCrop) -> FaceCrop:
        """The crop with those of its track before it; from now on it is one of them."""
        before = self._latest.get(crop.track, ())
        self._latest[crop.track] = (crop, *before)[:NEIGHBORS]
        return replace(crop, neighbors=before)

    def forget(self, track: int) -> None:
        """The track has ended."""
        self._latest.pop(track, None)
