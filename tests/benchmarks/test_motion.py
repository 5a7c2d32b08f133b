"""The clips of the motion benchmark and its table."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from benchmarks.motion import FACES, HEADER, SPEEDS, Clip, make_cast, make_clip, row
from benchmarks.people import Roster, Split, roster
from detectors.yunet import YuNet
from models.runtime import load
from stream.truth import Truth
from unblur.evaluate.video import score


@pytest.fixture(scope="module")
def people(portraits: Path) -> Roster:
    shown = {"Barack_Obama": "obama2.jpg", "Obama_Again": "obama3.jpg", "Joe_Biden": "biden.jpg"}
    return Roster(
        {"Barack_Obama": [portraits / "obama.jpg"]},
        {name: portraits / picture for name, picture in shown.items()},
        {"Eileen_Collins": portraits / "astronaut.png"},
    )


@pytest.fixture(scope="module")
def clip(people: Roster, yunet_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    cast = make_cast(people, YuNet(load(yunet_path)), known=3)
    return make_clip(tmp_path_factory.mktemp("motion"), cast, "fast", seed=4)


def test_everybody_passes_at_the_clips_speed(clip: Clip) -> None:
    truth = Truth.load(clip.truth)
    people = {(one.person, one.known) for one in truth.appearances}
    assert people == {("Barack_Obama", True), ("Obama_Again", True), ("Joe_Biden", True), ("Eileen_Collins", False)}
    slowest, fastest = SPEEDS["fast"]
    assert all(slowest <= one.speed <= fastest and one.speed_class == "fast" for one in truth.appearances)
    assert {one.velocity[0] > 0 for one in truth.appearances} == {True, False}, "both ways"


def test_faces_are_as_large_as_said_and_seen_on_their_whole_way(clip: Clip) -> None:
    for one in Truth.load(clip.truth).appearances:
        assert FACES[0] <= one.sightings[0].box[2] <= FACES[1]
        assert len(one.sightings) > 0.8 * 1280 / one.speed


def test_clip_is_as_long_as_its_truth(clip: Clip) -> None:
    with av.open(str(clip.video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == Truth.load(clip.truth).frames


def test_row_fits_the_header(clip: Clip) -> None:
    line = row("fast", "off", score([], Truth.load(clip.truth)))
    assert line.count("|") == HEADER.splitlines()[0].count("|") == HEADER.splitlines()[1].count("|")
    assert line.startswith("| fast | off | 0 of 3 | 0 of 3 | 0 of 3 | 3 of 3 | 0 of 1 | 1 of 1 |")


def test_roster_is_laid_out_for_enrolment(people: Roster, tmp_path: Path) -> None:
    people.lay_out(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")] == ["Barack_Obama/obama.jpg"]


@pytest.mark.parametrize(("split", "enrolled"), [("val", 36), ("test", 30)])
def test_no_shown_photograph_is_enrolled_and_no_stranger_known(
    shared: Path, tmp_path: Path, split: Split, enrolled: int
) -> None:
    drawn = roster(shared, split, tmp_path / "one", seed=1)
    assert len(drawn.enrolled) == enrolled
    assert list(drawn.shown) == list(drawn.enrolled)
    assert not set(drawn.strangers) & set(drawn.enrolled)
    photos = {photo for taken in drawn.enrolled.values() for photo in taken}
    assert not photos & {*drawn.shown.values(), *drawn.strangers.values()}
    assert list(roster(shared, split, tmp_path / "two", seed=1).shown) == list(drawn.shown)
