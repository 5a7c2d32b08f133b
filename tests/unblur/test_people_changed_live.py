"""People are enrolled, renamed, merged and deleted while a camera sees them: the whole pipeline on a looped film."""

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


class Story:
    """The events, to be waited for."""

    def __init__(self) -> None:
        self.events: list[tuple[float, Event]] = []
        self._told = threading.Condition()

    def write(self, event: Event) -> None:
        with self._told:
            self.events.append((time.monotonic(), event))
            self._told.notify_all()

    def close(self) -> None:
        pass

    def until(self, wanted: Callable[[Event], bool], after: float = 0.0) -> tuple[float, Event]:
        """The first event that is as wanted, and when it came."""

        def first() -> tuple[float, Event] | None:
            return next((each for each in self.events if each[0] > after and wanted(each[1])), None)

        with self._told:
            found = self._told.wait_for(first, WITHIN_S)
        assert found, [(event.type, event.track, event.identity.name) for _, event in self.events]
        return found

    def of(self, track: int) -> list[tuple[str, str | None]]:
        return [(event.type, event.identity.name) for _, event in self.events if event.track == track]


class Hall:
    """A camera in a hall, and the people it knows."""

    def __init__(self, run: Run, story: Story, people: GalleryService, evidence: Path, examiner: PhotoReviewer) -> None:
        self.run, self.story, self.people = run, story, people
        self._evidence, self._examiner = evidence, examiner

    def unknown(self) -> Event:
        """Somebody who has come into the picture, and whom nobody knows."""
        return self.story.until(lambda event: event.type == "new" and event.identity.name is None)[1]

    def shot(self, event: Event) -> ReviewedPhoto:
        return self._examiner.check_crop("crop", read_picture(self._evidence / f"{event.id}.raw.png"))

    def overlay(self, track: int) -> str | None:
        """The name in the picture."""
        names = self.run.identification.names(CAMERA)
        return names[track].name if track in names else "gone"


@pytest.fixture
def hall(demo: Path, tmp_path: Path, examiner: PhotoReviewer, notes: Notes) -> Iterator[Hall]:
    story = Story()
    config = load(None, {
        "cameras": [{"name": CAMERA, "source": f"{LOOP}{demo / 'camera.mp4'}"}],
        "output": {"evidence": tmp_path / "evidence"},
        "pace": "realtime",
    })  # fmt: skip
    with ExitStack() as stack:
        run = assemble(config, stack, lambda _: None, story)
        people = GalleryService(tmp_path / "people.joblib", examiner, run.use_gallery, notes.take)
        thread = threading.Thread(target=run.start)
        thread.start()
        try:
            yield Hall(run, story, people, tmp_path / "evidence", examiner)
        finally:
            people.close()
            run.pipelines[0].stop()
            thread.join()


def test_an_unknown_becomes_known_renamed_and_unknown_again(hall: Hall) -> None:
    stranger = hall.unknown()
    track, shot = stranger.track, hall.shot(stranger)

    asked = time.monotonic()
    hall.people.enroll("Ann", None, [shot], "me")
    named_at, named = hall.story.until(lambda event: event.track == track and event.identity.name == "Ann")
    assert named.type == "update"
    assert named_at - asked < SOON_S
    assert hall.overlay(track) == "Ann"

    hall.people.rename("Ann", "Ann Lee", "me")
    assert hall.overlay(track) == "Ann Lee"
    hall.people.delete("Ann Lee", "me")
    assert hall.overlay(track) is None
    _, ended = hall.story.until(lambda event: event.track == track and event.type == "end")
    assert ended.identity.name is None
    told = [("new", None), ("update", "Ann"), ("update", "Ann Lee"), ("update", None), ("end", None)]
    assert hall.story.of(track) == told
    assert len({event.id for _, event in hall.story.events}) == len(hall.story.events)


def test_who_is_merged_has_the_other_name_at_once(hall: Hall, portraits: Path, examiner: PhotoReviewer) -> None:
    hall.people.enroll("Joe", None, [examiner.check_picture("biden.jpg", read_picture(portraits / "biden.jpg"))], "me")
    stranger = hall.unknown()
    hall.people.enroll("Ann", None, [hall.shot(stranger)], "me")
    assert hall.overlay(stranger.track) == "Ann"
    hall.people.merge("Ann", "Joe", "me", confirmed=True)
    assert hall.overlay(stranger.track) == "Joe"
    hall.story.until(lambda event: event.track == stranger.track and event.type == "end")
    assert hall.story.of(stranger.track) == [("new", None), ("update", "Ann"), ("update", "Joe"), ("end", "Joe")]


def test_another_programs_gallery_is_in_use_soon(hall: Hall, tmp_path: Path) -> None:
    hall.people.enroll("Ann", None, [hall.shot(hall.unknown())], "me")
    theirs = hall.people.gallery
    hall.people.delete("Ann", "me")
    asked = time.monotonic()
    theirs.save(tmp_path / "people.joblib")
    hall.story.until(lambda event: event.identity.name == "Ann", after=asked)
    hall.people.close()
    assert hall.people.gallery.names == ("Ann",)
