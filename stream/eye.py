"""Watching one camera: faces are found, followed, and cut out for a look at them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np

from stream.cadence import SIZES, Cadence
from stream.company import Company
from stream.data import Box, Face, Frame, Track
from stream.load import LoadController, SearchBudget
from stream.look import Look, Moment, Sighting
from stream.meter import Meter
from stream.shortlist import Shortlist
from stream.stages import Aligner, Detector
from stream.track import Tracker, TrackUpdate


class Eye:
    """The eye of one camera; used by one thread. A live camera's detector follows the load."""

    def __init__(
        self,
        detector: Detector,
        aligner: Aligner,
        live: bool,
        meter: Meter,
        accountable: bool = False,
        watchful: bool = False,
        budget: SearchBudget | None = None,
    ) -> None:
        """`accountable`: looks know the sha256 of the pixels that they were cut from. `watchful`: the detector looks at
        every frame, as closely as it can, whatever the load, and every place where a face may be is told. `budget` is
        what all live cameras have together."""
        self._detector = detector
        self._largest = detector.long_side
        self._aligner = aligner
        self._live = live
        self._meter = meter
        self._accountable, self._watchful = accountable, watchful
        self._budget = budget or SearchBudget(1, LoadController())
        self._cadence = Cadence(live, lambda: self._budget.part)
        self._due: bool | None = None
        self._has_turn = False
        self._tracker = Tracker()
        self._shortlist = Shortlist(live)
        self._company = Company()
        self._restless = False
        meter.follow("crops passed over", lambda: self._shortlist.dropped)

    def due(self, pts_s: float) -> bool:
        """Whether the picture of this media time is to be searched. Asked once for each, in order; the picture need
        only be seen if it is, or if somebody watches. A live camera then waits for its turn, and should see the newest
        picture that has come meanwhile."""
        self._end_turn()
        self._due = self._cadence.due(self._restless, pts_s) or self._watchful
        self._has_turn = self._live and self._due and self._budget.begin()
        return self._due

    def see(self, frame: Frame) -> Sighting:
        """What this frame shows. Frames come in order."""
        due = self.due(frame.pts_s) if self._due is None else self._due
        self._due = None
        faces = self._detected(frame) if due else None
        began = time.thread_time()
        with self._meter.stage("track"):
            update = self._tracker.update(frame, faces)
        with self._meter.stage("crop"):
            looks = self._looks(frame, update)
        if due:
            self._cadence.followed(time.thread_time() - began)
        self._restless = update.restless
        others = [*update.rumours, *_apart(faces or [], update.tracks)] if self._watchful else []
        return Sighting(frame, update.tracks, looks, update.ended, others)

    def finish(self) -> list[Look]:
        """The source has ended: the looks that were still waiting for their turn."""
        self._end_turn()
        ended = self._tracker.finish()
        return [look for track in ended if (look := self._shortlist.close(track.id))]

    def _detected(self, frame: Frame) -> list[Face]:
        if self._live and not self._watchful:
            self._detector.long_side = round(self._largest * self._cadence.long_side / SIZES[0])
        began = time.thread_time()
        with self._meter.stage("detect"):
            faces = self._detector.detect(frame.image)
        self._cadence.spent(time.thread_time() - began)
        self._end_turn()
        self._meter.searched(frame.camera)
        self._meter.count("faces", len(faces), frame.camera)
        return faces

    def _end_turn(self) -> None:
        had, self._has_turn = self._has_turn, False
        if had:
            self._budget.end()

    def _looks(self, frame: Frame, update: TrackUpdate) -> list[Look]:
        seen = self._seen(frame, [track for track in update.tracks if track.detected])
        due = [self._shortlist.offer(look) for look in seen]
        late = [self._shortlist.close(track.id) for track in update.ended]
        for track in update.ended:
            self._company.forget(track.id)
        return [look for look in [*due, *late] if look]

    def _seen(self, frame: Frame, tracks: Sequence[Track]) -> list[Look]:
        crops = [(track, crop) for track in tracks if (crop := self._aligner.crop(frame, track))]
        pixels = sha256(np.ascontiguousarray(frame.image).data).hexdigest() if crops and self._accountable else None
        shown = frozenset(track.id for track in tracks)
        return [
            Look(track, replace(self._company.joined(crop), beside=shown - {track.id}), Moment.of(frame), pixels)
            for track, crop in crops
        ]


def _apart(faces: Sequence[Face], tracks: Sequence[Track]) -> list[Box]:
    """Where faces were found that are none of the tracks'."""
    return [face.box for face in faces if not any(_is_of(face.box, track.box) for track in tracks)]


def _is_of(face: Box, track: Box) -> bool:
    x, y = face.centre
    return track.x <= x <= track.x + track.width and track.y <= y <= track.y + track.height
