"""People are enrolled, renamed, merged and deleted while a camera sees them: the whole pipeline on a looped clip."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from configs.loader import load
from stream.results import Event
from stream.sources.factory import LOOP
from stream.storage.images import read_picture
from tests.unblur.conftest import Notes
from unblur.assembly.pipeline_run import Run, assemble
from unblur.people.gallery_service import GalleryService
from unblur.people.photo_review import PhotoReviewer, ReviewedPhoto

WITHIN_S = 60.0
SOON_S = 5.0
CAMERA = "hall"


class EventRecorder:
    """Event sink that can wait for events."""

    def __init__(self) -> None:
        self.events: list[tuple[float, Event]] = []
        self._changed = threading.Condition()

    def write(self, event: Event) -> None:
        with self._changed:
            self.events.append((time.monotonic(), event))
            self._changed.notify_all()

    def close(self) -> None:
        pass

    def until(self, wanted: Callable[[Event], bool], after: float = 0.0) -> tuple[float, Event]:
        """Wait for the first event that is `wanted`, later than `after`; its time and the event."""

        def first() -> tuple[float, Event] | None:
            return next((each for each in self.events if each[0] > after and wanted(each[1])), None)

        with self._changed:
            found = self._changed.wait_for(first, WITHIN_S)
        assert found, [(event.type, event.track, event.identity.name) for _, event in self.events]
        return found

    def of(self, track: int) -> list[tuple[str, str | None]]:
        return [(event.type, event.identity.name) for _, event in self.events if event.track == track]


class Hall:
    """A running camera with its events and gallery service."""

    def __init__(
        self, run: Run, recorder: EventRecorder, people: GalleryService, evidence: Path, examiner: PhotoReviewer
    ) -> None:
        self.run, self.recorder, self.people = run, recorder, people
        self._evidence, self._examiner = evidence, examiner

    def unknown(self) -> Event:
        """Wait for the first event of an unknown person."""
        return self.recorder.until(lambda event: event.type == "new" and event.identity.name is None)[1]

    def shot(self, event: Event) -> ReviewedPhoto:
        return self._examiner.check_crop("crop", read_picture(self._evidence / f"{event.id}.raw.png"))

    def overlay(self, track: int) -> str | None:
        """The name shown in the live picture."""
        names = self.run.identification.names(CAMERA)
        return names[track].name if track in names else "gone"


@pytest.fixture
def hall(demo: Path, tmp_path: Path, examiner: PhotoReviewer, notes: Notes) -> Iterator[Hall]:
    recorder = EventRecorder()
    config = load(None, {
        "cameras": [{"name": CAMERA, "source": f"{LOOP}{demo / 'camera.mp4'}"}],
        "output": {"evidence": tmp_path / "evidence"},
        "pace": "realtime",
    })  # fmt: skip
    with ExitStack() as stack:
        run = assemble(config, stack, lambda _: None, recorder)
        people = GalleryService(tmp_path / "people.joblib", examiner, run.use_gallery, notes.note)
        thread = threading.Thread(target=run.start)
        thread.start()
        try:
            yield Hall(run, recorder, people, tmp_path / "evidence", examiner)
        finally:
            people.close()
            run.pipelines[0].stop()
            thread.join()


def test_an_unknown_person_is_enrolled_renamed_and_deleted(hall: Hall) -> None:
    unknown_person = hall.unknown()
    track, shot = unknown_person.track, hall.shot(unknown_person)

    asked = time.monotonic()
    hall.people.enroll("Ann", None, [shot], "me")
    named_at, named = hall.recorder.until(lambda event: event.track == track and event.identity.name == "Ann")
    assert named.type == "update"
    assert named_at - asked < SOON_S
    assert hall.overlay(track) == "Ann"

    hall.people.rename("Ann", "Ann Lee", "me")
    assert hall.overlay(track) == "Ann Lee"
    hall.people.delete("Ann Lee", "me")
    assert hall.overlay(track) is None
    _, ended = hall.recorder.until(lambda event: event.track == track and event.type == "end")
    assert ended.identity.name is None
    expected = [("new", None), ("update", "Ann"), ("update", "Ann Lee"), ("update", None), ("end", None)]
    assert hall.recorder.of(track) == expected
    assert len({event.id for _, event in hall.recorder.events}) == len(hall.recorder.events)


def test_a_merged_person_has_the_other_name_at_once(hall: Hall, portraits: Path, examiner: PhotoReviewer) -> None:
    hall.people.enroll("Joe", None, [examiner.check_picture("biden.jpg", read_picture(portraits / "biden.jpg"))], "me")
    unknown_person = hall.unknown()
    hall.people.enroll("Ann", None, [hall.shot(unknown_person)], "me")
    assert hall.overlay(unknown_person.track) == "Ann"
    hall.people.merge("Ann", "Joe", "me", confirmed=True)
    assert hall.overlay(unknown_person.track) == "Joe"
    hall.recorder.until(lambda event: event.track == unknown_person.track and event.type == "end")
    assert hall.recorder.of(unknown_person.track) == [
        ("new", None),
        ("update", "Ann"),
        ("update", "Joe"),
        ("end", "Joe"),
    ]


def test_another_programs_gallery_is_soon_in_use(hall: Hall, tmp_path: Path) -> None:
    hall.people.enroll("Ann", None, [hall.shot(hall.unknown())], "me")
    saved = hall.people.gallery
    hall.people.delete("Ann", "me")
    asked = time.monotonic()
    saved.save(tmp_path / "people.joblib")
    hall.recorder.until(lambda event: event.identity.name == "Ann", after=asked)
    hall.people.close()
    assert hall.people.gallery.names == ("Ann",)
