"""Watching one camera: faces are found, followed, and cut out for a look at them."""

from __future__ import annotations

import time

from stream.cadence import SIZES, Cadence
from stream.company import Company
from stream.data import Face, Frame, Track
from stream.meter import Meter
from stream.naming import Look, Moment, Sighting
from stream.shortlist import Shortlist
from stream.stages import Aligner, Detector
from stream.track import Tracker, TrackUpdate


class Eye:
    """The eye of one camera; used by one thread. A live camera's detector follows the load."""

    def __init__(self, detector: Detector, aligner: Aligner, live: bool, meter: Meter) -> None:
        self._detector = detector
        self._largest = detector.long_side
        self._aligner = aligner
        self._live = live
        self._meter = meter
        self._cadence = Cadence(live)
        self._tracker = Tracker()
        self._shortlist = Shortlist()
        self._company = Company()
        self._restless = False

    def see(self, frame: Frame) -> Sighting:
        """What this frame shows. Frames come in order."""
        faces = self._detected(frame) if self._cadence.due(self._restless, frame.pts_s) else None
        with self._meter.stage("track"):
            update = self._tracker.update(frame, faces)
        with self._meter.stage("crop"):
            looks = self._looks(frame, update)
        self._restless = update.restless
        return Sighting(frame, update.tracks, looks, update.ended)

    def finish(self) -> list[Look]:
        """The source has ended: the looks that were still waiting for their turn."""
        ended = self._tracker.finish()
        self._meter.count("crops passed over", self._shortlist.dropped)
        return [look for track in ended if (look := self._shortlist.close(track.id))]

    def _detected(self, frame: Frame) -> list[Face]:
        if self._live:
            self._detector.long_side = round(self._largest * self._cadence.long_side / SIZES[0])
        began = time.perf_counter()
        with self._meter.stage("detect"):
            faces = self._detector.detect(frame.image)
        self._cadence.spent(time.perf_counter() - began)
        self._meter.count("detections")
        self._meter.count("faces", len(faces))
        return faces

    def _looks(self, frame: Frame, update: TrackUpdate) -> list[Look]:
        seen = [self._look(frame, track) for track in update.tracks if track.detected]
        due = [self._shortlist.offer(look) for look in seen if look]
        late = [self._shortlist.close(track.id) for track in update.ended]
        for track in update.ended:
            self._company.forget(track.id)
        return [look for look in [*due, *late] if look]

    def _look(self, frame: Frame, track: Track) -> Look | None:
        crop = self._aligner.crop(frame, track)
        return Look(track, self._company.joined(crop), Moment.of(frame)) if crop else None
