"""Identification: restore and recognize crops, name tracks, and write their events.

One `IdentificationWorker` serves all cameras of a run. For each open track it keeps the identity, the latest position
and the best crop, until the track ends.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from uuid import NAMESPACE_URL, uuid5

from stream.errors import StorageError
from stream.interfaces import Deblurrer, EventSink, EvidenceSink, Recognizer
from stream.metrics import StageMetrics
from stream.results import Event, EventType, FaceSample, FrameResult, FrameTime, Identity
from stream.values import Restoration, Track


class IdentificationWorker:
    """Restores and recognizes crops, keeps the identities of tracks, and writes the events.

    `session` distinguishes runs: event ids are derived from it, so that the same footage under the same settings
    gives the same ids.
    """

    def __init__(
        self,
        deblurrer: Deblurrer,
        recognizer: Recognizer,
        log: EventSink,
        evidence: EvidenceSink | None,
        session: str,
        meter: StageMetrics,
    ) -> None:
        self._deblurrer = deblurrer
        self._recognizer = recognizer
        self._log = log
        self._evidence = evidence
        self._session = session
        self._metrics = meter
        self._person_tracks: dict[tuple[str, int], PersonTrack] = {}
        self._tracks_lock = threading.Lock()
        self._restoring_lock = threading.Lock()
        self._being_restored: frozenset[tuple[str, int]] = frozenset()
        self._identifying_lock = threading.Lock()
        self._reidentifications = 0
        self._numbers: Counter[str] = Counter()

    def update_tracks(self, result: FrameResult) -> None:
        """Update the positions of the tracks; fast, and called for every frame before its samples are identified."""
        moment = FrameTime.of(result.frame)
        with self._tracks_lock:
            for track in result.tracks:
                if track.detected:
                    key = track.camera, track.id
                    person = self._person_tracks.setdefault(key, PersonTrack(track, moment, track.first_pts_s))
                    person.track, person.last_seen = track, moment

    def identify(self, samples: Sequence[FaceSample], passes: int | None = None) -> None:
        """Restore, with at most `passes` passes of the network, and recognize."""
        self.identify_restored(samples, self.restore(samples, passes))

    def restore(self, samples: Sequence[FaceSample], passes: int | None = None) -> list[Restoration]:
        """Restore blurred crops, with at most `passes` passes of the network. One thread at a time."""
        if not samples:
            return []
        with self._restoring_lock, self._metrics.stage("deblur"):
            self._being_restored = frozenset((sample.track.camera, sample.track.id) for sample in samples)
            try:
                restorations = self._deblurrer.restore([sample.crop for sample in samples], passes)
            finally:
                self._being_restored = frozenset()
        self._metrics.count("crops", len(samples))
        self._metrics.count("restored", sum(restoration.method != "none" for restoration in restorations))
        return restorations

    def identify_restored(self, samples: Sequence[FaceSample], restorations: Sequence[Restoration]) -> None:
        """Recognize the samples and write the events. One thread at a time, as evidence and log require."""
        if not samples:
            return
        with self._identifying_lock:
            with self._metrics.stage("recognise"):
                identities = self._recognizer.observe(restorations)
            for sample, restoration, identity in zip(samples, restorations, identities, strict=True):
                self._apply(sample, restoration, identity)
            self._record_delays(samples)
            now = {sample.track.camera: sample.moment for sample in samples}
            for (camera, track), identity in self._recognizer.take_revoked().items():
                self._set_identity((camera, track), identity, "disowned", now[camera])

    def _apply(self, sample: FaceSample, restoration: Restoration, identity: Identity) -> None:
        key, restored = (sample.track.camera, sample.track.id), (sample, restoration)
        ended = None
        with self._tracks_lock:
            person = self._person_tracks.get(key)
            if person is None:  # it ended while its sample was waiting
                return
            if identity.continuity == "doubtful":
                person.pending = restored
                return
            if identity.continuity == "another" and person.pending:
                ended, person = person, person.split(self._next_number(sample.track.camera), person.pending)
                self._person_tracks[key] = person
            person.number = person.number or self._next_number(sample.track.camera)
            before = person.identity
            person.update(restored, identity)
        if ended:
            self._end_person(ended)
        if before is None:
            self._emit_event("new", person, sample.track, sample.moment, restored)
        elif before.name != identity.name:
            self._emit_event("update", person, sample.track, sample.moment, restored)

    def _record_delays(self, samples: Sequence[FaceSample]) -> None:
        """Record the time from the arrival of live frames to their identification."""
        now = monotonic()
        for sample in samples:
            if sample.moment.arrived_s is not None:
                self._metrics.record_delay(sample.track.camera, now - sample.moment.arrived_s)

    def _next_number(self, camera: str) -> int:
        self._numbers[camera] += 1
        return self._numbers[camera]

    def _end_person(self, person: PersonTrack) -> None:
        """Write the end of a person track, at its latest sample: the track shows, or may show, another person now."""
        if person.latest and person.best:
            sample = person.latest[0]
            self._emit_event("end", person, sample.track, sample.moment, person.best)

    def reidentify(self) -> None:
        """Identify all open tracks again by the evidence so far, after the gallery has changed: a wrong name must not
        stay until the next sample."""
        with self._identifying_lock:
            self._reidentifications += 1
            for key, identity in self._recognizer.reidentify().items():
                self._set_identity(key, identity, f"{self._reidentifications}")

    def _set_identity(
        self, key: tuple[str, int], identity: Identity, reason: str, moment: FrameTime | None = None
    ) -> None:
        """Set an identity without a new sample: now, or at the `moment` of another track's sample, where the track was
        sampled last. `reason` becomes part of the event id."""
        with self._tracks_lock:
            person = self._person_tracks.get(key)
            if person is None or person.identity is None or person.latest is None or person.best is None:
                return
            before, person.identity = person.identity, identity
            where = person.latest[0].track if moment else person.track
        if before.name != identity.name:
            self._emit_event("update", person, where, moment or person.last_seen, person.best, reason)

    def end(self, tracks: Sequence[Track]) -> None:
        """End tracks; one that was never identified leaves no event."""
        with self._identifying_lock:
            for track in tracks:
                self._end(track)

    def _end(self, track: Track) -> None:
        with self._tracks_lock:
            person = self._person_tracks.pop((track.camera, track.id), None)
        self._recognizer.forget(track.camera, track.id)
        if person is not None and person.pending:
            self._end_person(person)
        elif person is not None and person.best is not None:
            self._emit_event("end", person, person.track, person.last_seen, person.best)

    def end_camera(self, camera: str) -> None:
        """End all open tracks of a camera."""
        with self._tracks_lock:
            tracks = [person.track for person in self._person_tracks.values() if person.track.camera == camera]
        self.end(tracks)

    def names(self, camera: str) -> Mapping[int, Identity]:
        """The identities of the open tracks of a camera, by track id."""
        with self._tracks_lock:
            return {
                number: person.identity
                for (where, number), person in self._person_tracks.items()
                if where == camera and person.identity is not None
            }

    def restoring(self, camera: str) -> frozenset[int]:
        """The tracks of a camera whose crops are being restored now."""
        return frozenset(number for where, number in self._being_restored if where == camera)

    def _emit_event(
        self,
        event_type: EventType,
        person: PersonTrack,
        where: Track,
        moment: FrameTime,
        restored: RestoredSample,
        reason: str = "",
    ) -> None:
        """Write an event. `reason` distinguishes an event without a new sample from one of the same frame with one."""
        sample, restoration = restored
        assert person.identity
        place = f"{self._session}/{where.camera}/{person.number}/{event_type}/{moment.frame}"
        event = Event(
            id=uuid5(NAMESPACE_URL, f"{place}/{reason}" if reason else place).hex,
            type=event_type,
            camera=where.camera,
            track=person.number,
            identity=replace(person.identity, deblurred_by=restoration.method, blur=restoration.blur),
            pts_s=moment.pts_s,
            frame=moment.frame,
            wall_time=moment.wall_time,
            box=where.box.rounded(),
            first_pts_s=person.first_pts_s,
        )
        if self._evidence:
            with self._metrics.stage("evidence"):
                event = self._evidence.add(event, sample, restoration)
        with self._metrics.stage("log"):
            self._write(event)
        self._metrics.count("events")

    def _write(self, event: Event) -> None:
        try:
            self._log.write(event)
        except StorageError:
            if self._evidence:
                self._evidence.mark_unlogged(event)
            raise


RestoredSample = tuple[FaceSample, Restoration]
"""A sample, and the restoration of its crop."""


@dataclass(slots=True, eq=False)
class PersonTrack:
    """State of one person on an open track: the latest position of the track and when it was seen, the start of the
    person's part, its number (0: not identified yet), the identity so far, the latest and the best sample, and a
    `pending` sample that may show another person."""

    track: Track
    last_seen: FrameTime
    first_pts_s: float
    number: int = 0
    identity: Identity | None = None
    latest: RestoredSample | None = None
    best: RestoredSample | None = None
    pending: RestoredSample | None = None

    def update(self, restored: RestoredSample, identity: Identity) -> None:
        """Add a sample of this person, and the identity by it."""
        self.identity, self.latest, self.pending = identity, restored, None
        if self.best is None or restored[1].crop.quality.overall > self.best[1].crop.quality.overall:
            self.best = restored

    def split(self, number: int, first: RestoredSample) -> PersonTrack:
        """Start the person track of another person on the same track, from the sample `first` on."""
        person = PersonTrack(self.track, self.last_seen, first[0].moment.pts_s, number)
        person.latest = person.best = first
        return person
