"""Identification: from the recognizer's identities to person tracks and events."""

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


class ScriptedRecognizer:
    """A recognizer that returns the identity in `next`."""

    def __init__(self) -> None:
        self.next = KNOWN
        self.revoked: dict[tuple[str, int], Identity] = {}

    def observe(self, restorations: Sequence[Restoration]) -> list[Identity]:
        return [self.next for _ in restorations]

    def take_revoked(self) -> Mapping[tuple[str, int], Identity]:
        revoked, self.revoked = self.revoked, {}
        return revoked

    def reidentify(self) -> Mapping[tuple[str, int], Identity]:
        return {}

    def forget(self, camera: str, track: int) -> None:
        """Nothing is recorder."""


class EventRecorder:
    """An event sink that records the events, or refuses them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refuses = False

    def write(self, event: Event) -> None:
        if self.refuses:
            raise StorageError("the disk is full")
        self.events.append(event)

    def close(self) -> None:
        """Nothing to close."""


class Harness:
    """An identification worker with a scripted recognizer and a recorder of its events."""

    def __init__(self, evidence: EvidenceStore | None = None) -> None:
        self.recognizer, self.recorder = ScriptedRecognizer(), EventRecorder()
        self.worker = IdentificationWorker(
            PassThrough(), self.recognizer, self.recorder, evidence, "session", StageMetrics()
        )

    def identify(
        self, frame: int, identity: Identity, continuity: TrackContinuity = "same", track: int = 7, quality: float = 1.0
    ) -> None:
        """Add a frame with the track, and identify its crop as `identity`."""
        sample = make_sample(frame, track, quality)
        self.update_track(sample.track, sample.moment)
        self.recognizer.next = replace(identity, continuity=continuity)
        self.worker.identify([sample])

    def update_track(self, track: Track, moment: FrameTime) -> None:
        picture = np.zeros((9, 9, 3), np.uint8)
        frame = Frame("door", moment.frame, moment.frame, Fraction(1, 10), None, picture)
        self.worker.update_tracks(FrameResult(frame, [track], [], []))

    @property
    def written(self) -> list[tuple[str, int, str | None, int]]:
        return [(event.type, event.track, event.identity.name, event.frame) for event in self.recorder.events]


def make_sample(frame: int, track: int, quality: float) -> FaceSample:
    box, points = Box(10.0 * frame, 20, 40, 40), np.zeros((5, 2), np.float32)
    state = Track("door", track, box, points, (10, 0), 0.9, detected=True, hits=1, first_frame=0, first_pts_s=0.0)
    image = np.full((128, 128, 3), frame, np.uint8)
    crop = FaceCrop(
        "door", track, frame, frame / 10, image, np.eye(2, 3, dtype=np.float32), None, FaceQuality(1, quality, 1)
    )
    return FaceSample(state, crop, FrameTime(frame, frame / 10, None))


def test_a_track_has_new_update_and_end_events() -> None:
    harness = Harness()
    harness.identify(1, UNKNOWN)
    harness.identify(2, KNOWN)
    harness.identify(3, KNOWN)
    harness.worker.end_camera("door")
    assert harness.written == [("new", 1, None, 1), ("update", 1, "Ann", 2), ("end", 1, "Ann", 3)]


def test_person_tracks_are_numbered_in_order_of_identification() -> None:
    harness = Harness()
    harness.identify(1, UNKNOWN, track=9)
    harness.identify(2, UNKNOWN, track=4)
    assert [event.track for event in harness.recorder.events] == [1, 2]
    assert set(harness.worker.names("door")) == {9, 4}, "names use the track ids of the tracker"


def test_a_doubtful_crop_writes_no_event() -> None:
    harness = Harness()
    harness.identify(1, KNOWN, quality=0.5)
    harness.identify(2, UNKNOWN, "doubtful")
    assert harness.worker.names("door")[7].name == "Ann"
    harness.identify(3, KNOWN, quality=0.4)
    harness.identify(4, KNOWN, "doubtful")
    harness.worker.end_camera("door")
    assert harness.written == [("new", 1, "Ann", 1), ("end", 1, "Ann", 3)], "the last crop may show another person"


def test_an_event_that_the_log_refuses_is_marked_in_the_evidence(tmp_path: Path) -> None:
    evidence = open_folder(tmp_path / "evidence")
    harness = Harness(evidence)
    harness.identify(1, UNKNOWN)
    harness.recorder.refuses = True
    with pytest.raises(StorageError, match="full"):
        harness.identify(2, KNOWN)
    harness.recorder.refuses = False
    harness.identify(3, UNKNOWN)
    evidence.close()
    findings = examined(tmp_path / "evidence", logged(tmp_path / "log.jsonl", harness.recorder.events))
    assert not findings.faults
    assert any("is in no log" in note for note in findings.notes)


def test_a_track_that_changes_to_another_person_is_split() -> None:
    harness = Harness()
    harness.identify(1, KNOWN)
    harness.identify(2, KNOWN, quality=0.5)
    harness.identify(5, KNOWN, "doubtful")
    harness.identify(6, UNKNOWN, "another", quality=0.5)
    harness.worker.end_camera("door")
    assert harness.written == [("new", 1, "Ann", 1), ("end", 1, "Ann", 2), ("new", 2, None, 6), ("end", 2, None, 6)]
    first_end, second_new = harness.recorder.events[1], harness.recorder.events[2]
    assert first_end.box == (20, 20, 40, 40), "the position of the last certain crop"
    assert (first_end.first_pts_s, second_new.first_pts_s) == (0.0, 0.5), (
        "the second person starts at the doubtful crop"
    )


def test_a_revoked_name_is_logged_at_once() -> None:
    harness = Harness()
    harness.identify(1, KNOWN, track=7)
    harness.recognizer.revoked = {("door", 7): UNKNOWN}
    harness.identify(2, KNOWN, track=8)
    assert harness.written == [("new", 1, "Ann", 1), ("new", 2, "Ann", 2), ("update", 1, None, 2)]
    assert {track: who.name for track, who in harness.worker.names("door").items()} == {7: None, 8: "Ann"}
    assert len({event.id for event in harness.recorder.events}) == 3
