"""From what a recognizer concludes to lives and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from deblur.deblurrers import PassThrough
from stream.errors import StorageError
from stream.evidence.evidence_store import EvidenceStore
from stream.identification import IdentificationWorker
from stream.metrics import StageMetrics
from stream.results import Event, FaceSample, FrameResult, FrameTime, Identity, TrackContinuity
from stream.values import Box, FaceCrop, FaceQuality, Frame, Restoration, Track
from tests.stream.evidence.test_verify_chain import examined, logged
from tests.stream.support.proof import open_folder

KNOWN = Identity("Ann", 0.6, 0.4, None, 0.6, None, "none", 0.0)
UNKNOWN = replace(KNOWN, name=None, score=0.2)


class Saying:
    """Concludes what it was told to."""

    def __init__(self) -> None:
        self.next = KNOWN
        self.lost: dict[tuple[str, int], Identity] = {}

    def observe(self, restorations: Sequence[Restoration]) -> list[Identity]:
        return [self.next for _ in restorations]

    def take_revoked(self) -> Mapping[tuple[str, int], Identity]:
        lost, self.lost = self.lost, {}
        return lost

    def reidentify(self) -> Mapping[tuple[str, int], Identity]:
        return {}

    def forget(self, camera: str, track: int) -> None:
        """Nothing is kept."""


class Kept:
    """Keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refuses = False

    def write(self, event: Event) -> None:
        if self.refuses:
            raise StorageError("the disk is full")
        self.events.append(event)

    def close(self) -> None:
        """Nothing to close."""


class Desk:
    """A naming with what it is told and what it writes."""

    def __init__(self, evidence: EvidenceStore | None = None) -> None:
        self.saying, self.kept = Saying(), Kept()
        self.naming = IdentificationWorker(PassThrough(), self.saying, self.kept, evidence, "session", StageMetrics())

    def look(
        self, frame: int, identity: Identity, body: TrackContinuity = "same", track: int = 7, quality: float = 1.0
    ) -> None:
        """A frame shows the track, and its crop is identified as that."""
        look = a_look(frame, track, quality)
        self.see(look.track, look.moment)
        self.saying.next = replace(identity, continuity=body)
        self.naming.identify([look])

    def see(self, track: Track, moment: FrameTime) -> None:
        picture = np.zeros((9, 9, 3), np.uint8)
        frame = Frame("door", moment.frame, moment.frame, Fraction(1, 10), None, picture)
        self.naming.update_tracks(FrameResult(frame, [track], [], []))

    @property
    def told(self) -> list[tuple[str, int, str | None, int]]:
        return [(event.type, event.track, event.identity.name, event.frame) for event in self.kept.events]


def a_look(frame: int, track: int, quality: float) -> FaceSample:
    box, points = Box(10.0 * frame, 20, 40, 40), np.zeros((5, 2), np.float32)
    there = Track("door", track, box, points, (10, 0), 0.9, detected=True, hits=1, first_frame=0, first_pts_s=0.0)
    image = np.full((128, 128, 3), frame, np.uint8)
    crop = FaceCrop(
        "door", track, frame, frame / 10, image, np.eye(2, 3, dtype=np.float32), None, FaceQuality(1, quality, 1)
    )
    return FaceSample(there, crop, FrameTime(frame, frame / 10, None))


def test_somebody_comes_is_named_and_goes() -> None:
    desk = Desk()
    desk.look(1, UNKNOWN)
    desk.look(2, KNOWN)
    desk.look(3, KNOWN)
    desk.naming.end_camera("door")
    assert desk.told == [("new", 1, None, 1), ("update", 1, "Ann", 2), ("end", 1, "Ann", 3)]


def test_lives_are_numbered_as_they_are_first_known() -> None:
    desk = Desk()
    desk.look(1, UNKNOWN, track=9)
    desk.look(2, UNKNOWN, track=4)
    assert [event.track for event in desk.kept.events] == [1, 2]
    assert set(desk.naming.names("door")) == {9, 4}, "on the picture, tracks are the tracker's"


def test_a_doubtful_crop_says_nothing() -> None:
    desk = Desk()
    desk.look(1, KNOWN, quality=0.5)
    desk.look(2, UNKNOWN, "doubtful")
    assert desk.naming.names("door")[7].name == "Ann"
    desk.look(3, KNOWN, quality=0.4)
    desk.look(4, KNOWN, "doubtful")
    desk.naming.end_camera("door")
    assert desk.told == [("new", 1, "Ann", 1), ("end", 1, "Ann", 3)], "who was there last is not known to be her"


def test_an_event_that_the_log_refuses_is_told_to_the_evidence(tmp_path: Path) -> None:
    evidence = open_folder(tmp_path / "evidence")
    desk = Desk(evidence)
    desk.look(1, UNKNOWN)
    desk.kept.refuses = True
    with pytest.raises(StorageError, match="full"):
        desk.look(2, KNOWN)
    desk.kept.refuses = False
    desk.look(3, UNKNOWN)
    evidence.close()
    findings = examined(tmp_path / "evidence", logged(tmp_path / "log.jsonl", desk.kept.events))
    assert not findings.faults
    assert any("is in no log" in note for note in findings.notes)


def test_a_track_that_changes_body_is_split() -> None:
    desk = Desk()
    desk.look(1, KNOWN)
    desk.look(2, KNOWN, quality=0.5)
    desk.look(5, KNOWN, "doubtful")
    desk.look(6, UNKNOWN, "another", quality=0.5)
    desk.naming.end_camera("door")
    assert desk.told == [("new", 1, "Ann", 1), ("end", 1, "Ann", 2), ("new", 2, None, 6), ("end", 2, None, 6)]
    ended, came = desk.kept.events[1], desk.kept.events[2]
    assert ended.box == (20, 20, 40, 40), "where she was seen last"
    assert (ended.first_pts_s, came.first_pts_s) == (0.0, 0.5), "the other one was there from the doubtful crop on"


def test_who_loses_a_name_to_somebody_beside_them_is_told_at_once() -> None:
    desk = Desk()
    desk.look(1, KNOWN, track=7)
    desk.saying.lost = {("door", 7): UNKNOWN}
    desk.look(2, KNOWN, track=8)
    assert desk.told == [("new", 1, "Ann", 1), ("new", 2, "Ann", 2), ("update", 1, None, 2)]
    assert {track: who.name for track, who in desk.naming.names("door").items()} == {7: None, 8: "Ann"}
    assert len({event.id for event in desk.kept.events}) == 3
