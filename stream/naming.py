"""From crops to names and events: what the identify worker does.

One `Naming` serves all cameras of a run. It keeps, for each track that lives, who it is, where it was last seen and
its best crop; all of it goes when the track ends.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from stream.data import Box, Crop, Event, EventType, Frame, Identity, Restoration, Track
from stream.meter import Meter
from stream.stages import Deblurrer, Evidence, Log, Recognizer


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was seen."""

    frame: int
    pts_s: float
    wall_time: datetime | None

    @classmethod
    def of(cls, frame: Frame) -> Moment:
        return cls(frame.index, frame.pts_s, frame.wall_time)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A track's face cut out of one frame, on its way to the identify worker.

    `frame_sha256` is that of the frame's pixels (its rows of BGR bytes, top to bottom) where evidence is kept.
    """

    track: Track
    crop: Crop
    moment: Moment
    frame_sha256: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """What one frame showed: its tracks, the looks worth identifying, and the tracks that ended; and, where somebody is
    to be hidden, the other places where a face may be."""

    frame: Frame
    tracks: Sequence[Track]
    looks: Sequence[Look]
    ended: Sequence[Track]
    others: Sequence[Box] = ()


@dataclass(slots=True, eq=False)
class _Life:
    """A living track: where it was seen last, who it is by now, and its best crop."""

    track: Track
    seen: Moment
    identity: Identity | None = None
    best: tuple[Look, Restoration] | None = None

    def keep_best(self, look: Look, restoration: Restoration) -> None:
        if self.best is None or restoration.crop.quality.overall > self.best[1].crop.quality.overall:
            self.best = look, restoration


class Naming:
    """Restores and recognises crops, remembers the names, and writes the events.

    `session` distinguishes runs: event ids are derived from it, so that the same footage under the same settings
    gives the same ids.
    """

    def __init__(
        self,
        deblurrer: Deblurrer,
        recognizer: Recognizer,
        log: Log,
        evidence: Evidence | None,
        session: str,
        meter: Meter,
    ) -> None:
        self._deblurrer = deblurrer
        self._recognizer = recognizer
        self._log = log
        self._evidence = evidence
        self._session = session
        self._meter = meter
        self._lives: dict[tuple[str, int], _Life] = {}
        self._lock = threading.Lock()
        self._restoring = threading.Lock()
        self._at_work: frozenset[tuple[str, int]] = frozenset()
        self._work = threading.Lock()
        self._reconsidered = 0

    def see(self, sighting: Sighting) -> None:
        """Note where the tracks are; quick, and called for every frame before its looks are identified."""
        moment = Moment.of(sighting.frame)
        with self._lock:
            for track in sighting.tracks:
                if track.detected:
                    life = self._lives.setdefault((track.camera, track.id), _Life(track, moment))
                    life.track, life.seen = track, moment

    def identify(self, looks: Sequence[Look]) -> None:
        """Restore and recognise."""
        self.recognise(looks, self.restore(looks))

    def restore(self, looks: Sequence[Look]) -> list[Restoration]:
        """What is blurred, restored. Threads take turns."""
        if not looks:
            return []
        with self._restoring, self._meter.stage("deblur"):
            self._at_work = frozenset((look.track.camera, look.track.id) for look in looks)
            try:
                restorations = self._deblurrer.restore([look.crop for look in looks])
            finally:
                self._at_work = frozenset()
        self._meter.count("crops", len(looks))
        self._meter.count("restored", sum(restoration.method != "none" for restoration in restorations))
        return restorations

    def recognise(self, looks: Sequence[Look], restorations: Sequence[Restoration]) -> None:
        """Whom the looks show; writes the events. Threads take turns: evidence and log are for one at a time."""
        if not looks:
            return
        with self._work:
            with self._meter.stage("recognise"):
                identities = self._recognizer.observe(restorations)
            for look, restoration, identity in zip(looks, restorations, identities, strict=True):
                self._conclude(look, restoration, identity)

    def _conclude(self, look: Look, restoration: Restoration, identity: Identity) -> None:
        with self._lock:
            life = self._lives.get((look.track.camera, look.track.id))
            if life is None:  # it ended while its look was waiting
                return
            before, life.identity = life.identity, identity
            life.keep_best(look, restoration)
        if before is None:
            self._announce("new", look.track, look.moment, identity, look, restoration)
        elif before.name != identity.name:
            self._announce("update", look.track, look.moment, identity, look, restoration)

    def reconsider(self) -> None:
        """Who is known has changed: judge whoever is in the picture anew, by the evidence so far, so that nobody bears
        a name that is theirs no longer until the next look at them."""
        with self._work:
            self._reconsidered += 1
            for (camera, track), identity in self._recognizer.reconsider().items():
                self._correct(camera, track, identity)

    def _correct(self, camera: str, track: int, identity: Identity) -> None:
        with self._lock:
            life = self._lives.get((camera, track))
            if life is None or life.identity is None or life.best is None:
                return
            before, life.identity = life.identity, identity
            where, moment, best = life.track, life.seen, life.best
        if before.name != identity.name:
            self._announce("update", where, moment, identity, *best, reconsidered=self._reconsidered)

    def end(self, tracks: Sequence[Track]) -> None:
        """Close the lives of tracks; one that nobody could be identified on leaves no event."""
        with self._work:
            for track in tracks:
                self._end(track)

    def _end(self, track: Track) -> None:
        with self._lock:
            life = self._lives.pop((track.camera, track.id), None)
        self._recognizer.forget(track.camera, track.id)
        if life is not None and life.identity is not None and life.best is not None:
            self._announce("end", life.track, life.seen, life.identity, *life.best)

    def end_all(self, camera: str) -> None:
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

    def _announce(
        self,
        kind: EventType,
        track: Track,
        moment: Moment,
        identity: Identity,
        look: Look,
        restoration: Restoration,
        reconsidered: int = 0,
    ) -> None:
        """`reconsidered` tells an event that no look has made from one of the same frame that a look has."""
        place = f"{self._session}/{track.camera}/{track.id}/{kind}/{moment.frame}"
        number = uuid5(NAMESPACE_URL, f"{place}/{reconsidered}" if reconsidered else place).hex
        event = Event(
            id=number,
            type=kind,
            camera=track.camera,
            track=track.id,
            identity=replace(identity, deblurred_by=restoration.method, blur=restoration.blur),
            pts_s=moment.pts_s,
            frame=moment.frame,
            wall_time=moment.wall_time,
            box=track.box.rounded(),
            first_pts_s=track.first_pts_s,
        )
        if self._evidence:
            with self._meter.stage("evidence"):
                event = self._evidence.keep(event, look, restoration)
        with self._meter.stage("log"):
            self._log.write(event)
        self._meter.count("events")
