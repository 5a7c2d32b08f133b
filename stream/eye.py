"""Watching one camera: faces are found, followed, and cut out when a look at them is due."""

from __future__ import annotations

from stream.cadence import Cadence
from stream.data import Frame, Track
from stream.meter import Meter
from stream.naming import Look, Moment, Sighting
from stream.select import CropSchedule
from stream.stages import Aligner, Detector
from stream.track import Tracker


class Eye:
    """The eye of one camera; used by one thread."""

    def __init__(self, detector: Detector, aligner: Aligner, cadence: Cadence, meter: Meter) -> None:
        self._detector = detector
        self._aligner = aligner
        self._cadence = cadence
        self._meter = meter
        self._tracker = Tracker()
        self._schedule = CropSchedule()
        self._restless = True

    def see(self, frame: Frame) -> Sighting:
        """What this frame shows. Frames come in order."""
        faces = None
        if self._cadence.due(self._restless):
            with self._meter.stage("detect"):
                faces = self._detector.detect(frame.image)
            self._meter.count("detections")
            self._meter.count("faces", len(faces))
        with self._meter.stage("track"):
            update = self._tracker.update(frame, faces)
            looks = [look for track in update.tracks if (look := self._look(frame, track))]
        self._restless = update.restless
        return Sighting(frame, update.tracks, looks, update.ended)

    def _look(self, frame: Frame, track: Track) -> Look | None:
        if not (track.detected and self._schedule.due(track, frame.pts_s)):
            return None
        crop = self._aligner.crop(frame, track)
        return Look(track, crop, Moment.of(frame)) if crop else None
