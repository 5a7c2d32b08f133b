"""From crops to names and events: what the identify worker does.

One `IdentificationWorker` serves all cameras of a run. For each living track it keeps who it is, where it was last seen
and its best crop; all of it goes when the track ends.
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
    """Restores and recognises crops, remembers the names, and writes the events.

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
        self._meter = meter
        self._lives: dict[tuple[str, int], PersonTrack] = {}
        self._lock = threading.Lock()
        self._restoring = threading.Lock()
        self._at_work: frozenset[tuple[str, int]] = frozenset()
        self._work = threading.Lock()
        self._reconsidered = 0
        self._numbers: Counter[str] = Counter()

    def update_tracks(self, sighting: FrameResult) -> None:
        """Note where the tracks are; quick, and called for every frame before its looks are identified."""
        moment = FrameTime.of(sighting.frame)
        with self._lock:
            for track in sighting.tracks:
                if track.detected:
                    key = track.camera, track.id
                    life = self._lives.setdefault(key, PersonTrack(track, moment, track.first_pts_s))
                    life.track, life.seen = track, moment

    def identify(self, looks: Sequence[FaceSample], passes: int | None = None) -> None:
        """Restore, in so many `passes` of the network at most, and recognise."""
        self.identify_restored(looks, self.restore(looks, passes))

    def restore(self, looks: Sequence[FaceSample], passes: int | None = None) -> list[Restoration]:
        """What is blurred, restored, in so many `passes` of the network at most. Threads take turns."""
        if not looks:
            return []
        with self._restoring, self._meter.stage("deblur"):
            self._at_work = frozenset((look.track.camera, look.track.id) for look in looks)
            try:
                restorations = self._deblurrer.restore([look.crop for look in looks], passes)
            finally:
                self._at_work = frozenset()
        self._meter.count("crops", len(looks))
        self._meter.count("restored", sum(restoration.method != "none" for restoration in restorations))
        return restorations

    def identify_restored(self, looks: Sequence[FaceSample], restorations: Sequence[Restoration]) -> None:
        """Whom the looks show; writes the events. Threads take turns: evidence and log are for one at a time."""
        if not looks:
            return
        with self._work:
            with self._meter.stage("recognise"):
                identities = self._recognizer.observe(restorations)
            for look, restoration, identity in zip(looks, restorations, identities, strict=True):
                self._apply(look, restoration, identity)
            self._time(looks)
            now = {look.track.camera: look.moment for look in looks}
            for (camera, track), identity in self._recognizer.take_revoked().items():
                self._correct((camera, track), identity, "disowned", now[camera])

    def _apply(self, look: FaceSample, restoration: Restoration, identity: Identity) -> None:
        key, found = (look.track.camera, look.track.id), (look, restoration)
        ended = None
        with self._lock:
            life = self._lives.get(key)
            if life is None:  # it ended while its look was waiting
                return
            if identity.continuity == "doubtful":
                life.pending = found
                return
            if identity.continuity == "another" and life.pending:
                ended, life = life, life.split(self._next(look.track.camera), life.pending)
                self._lives[key] = life
            life.number = life.number or self._next(look.track.camera)
            before = life.identity
            life.update(found, identity)
        if ended:
            self._end_person(ended)
        if before is None:
            self._emit_event("new", life, look.track, look.moment, found)
        elif before.name != identity.name:
            self._emit_event("update", life, look.track, look.moment, found)

    def _time(self, looks: Sequence[FaceSample]) -> None:
        """How long it took from the arrival of live pictures to whom they show."""
        now = monotonic()
        for look in looks:
            if look.moment.arrived_s is not None:
                self._meter.delay(look.track.camera, now - look.moment.arrived_s)

    def _next(self, camera: str) -> int:
        self._numbers[camera] += 1
        return self._numbers[camera]

    def _end_person(self, life: PersonTrack) -> None:
        """Somebody else is on their track now, or may be: they were there until their latest crop."""
        if life.latest and life.best:
            look = life.latest[0]
            self._emit_event("end", life, look.track, look.moment, life.best)

    def reidentify(self) -> None:
        """Who is known has changed: judge whoever is in the picture anew, by the evidence so far, so that nobody bears
        a name that is theirs no longer until the next look at them."""
        with self._work:
            self._reconsidered += 1
            for key, identity in self._recognizer.reidentify().items():
                self._correct(key, identity, f"{self._reconsidered}")

    def _correct(self, key: tuple[str, int], identity: Identity, cause: str, moment: FrameTime | None = None) -> None:
        """Without a look of its own: now, or at the moment of another's, where the track was looked at last."""
        with self._lock:
            life = self._lives.get(key)
            if life is None or life.identity is None or life.latest is None or life.best is None:
                return
            before, life.identity = life.identity, identity
            where = life.latest[0].track if moment else life.track
        if before.name != identity.name:
            self._emit_event("update", life, where, moment or life.seen, life.best, cause)

    def end(self, tracks: Sequence[Track]) -> None:
        """Close the lives of tracks; one that nobody could be identified on leaves no event."""
        with self._work:
            for track in tracks:
                self._end(track)

    def _end(self, track: Track) -> None:
        with self._lock:
            life = self._lives.pop((track.camera, track.id), None)
        self._recognizer.forget(track.camera, track.id)
        if life is not None and life.pending:
            self._end_person(life)
        elif life is not None and life.best is not None:
            self._emit_event("end", life, life.track, life.seen, life.best)

    def end_camera(self, camera: str) -> None:
        """The camera is gone: end what still lives there."""
        with self._lock:
            tracks = [life.track for life in self._lives.values() if life.track.camera == camera]
        self.end(tracks)

    def names(self, camera: str) -> Mapping[int, Identity]:
        """Who the living tracks of a camera are, by track id."""
        with self._lock:
            return {
                number: life.identity
                for (where, number), life in self._lives.items()
                if where == camera and life.identity is not None
            }

    def restoring(self, camera: str) -> frozenset[int]:
        """The tracks of a camera whose crops are with the deblurrer at this moment."""
        return frozenset(number for where, number in self._at_work if where == camera)

    def _emit_event(
        self,
        kind: EventType,
        life: PersonTrack,
        where: Track,
        moment: FrameTime,
        found: RestoredSample,
        cause: str = "",
    ) -> None:
        """`cause` tells an event that no look has made from one of the same frame that a look has."""
        look, restoration = found
        assert life.identity
        place = f"{self._session}/{where.camera}/{life.number}/{kind}/{moment.frame}"
        event = Event(
            id=uuid5(NAMESPACE_URL, f"{place}/{cause}" if cause else place).hex,
            type=kind,
            camera=where.camera,
            track=life.number,
            identity=replace(life.identity, deblurred_by=restoration.method, blur=restoration.blur),
            pts_s=moment.pts_s,
            frame=moment.frame,
            wall_time=moment.wall_time,
            box=where.box.rounded(),
            first_pts_s=life.first_pts_s,
        )
        if self._evidence:
            with self._meter.stage("evidence"):
                event = self._evidence.add(event, look, restoration)
        with self._meter.stage("log"):
            self._write(event)
        self._meter.count("events")

    def _write(self, event: Event) -> None:
        try:
            self._log.write(event)
        except StorageError:
            if self._evidence:
                self._evidence.mark_unlogged(event)
            raise


RestoredSample = tuple[FaceSample, Restoration]
"""A look, and what became of its crop."""


@dataclass(slots=True, eq=False)
class PersonTrack:
    """Somebody on a living track: where the track was seen last, and of themselves since when they were there, their
    number (0: not known yet), who they are by now, their latest and their best crop, and a crop that may be somebody
    else's."""

    track: Track
    seen: FrameTime
    first_pts_s: float
    number: int = 0
    identity: Identity | None = None
    latest: RestoredSample | None = None
    best: RestoredSample | None = None
    pending: RestoredSample | None = None

    def update(self, found: RestoredSample, identity: Identity) -> None:
        """A crop of theirs, and who they are by it."""
        self.identity, self.latest, self.pending = identity, found, None
        if self.best is None or found[1].crop.quality.overall > self.best[1].crop.quality.overall:
            self.best = found

    def split(self, number: int, first: RestoredSample) -> PersonTrack:
        """Somebody else on the same track, from that crop on."""
        life = PersonTrack(self.track, self.seen, first[0].moment.pts_s, number)
        life.latest = life.best = first
        return life
