"""Simulated clips."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.yunet import YuNet
from stream.errors import SourceError
from stream.simulation.ground_truth import Appearance, GroundTruth
from stream.simulation.sensor import Sensor
from stream.values import Box, Image
from unblur.cli import main
from unblur.evaluate.data.clips import (
    FACES,
    SPEEDS,
    ClipSettings,
    Speed,
    Walker,
    detect_walkers,
    make_scene,
    simulate_clip,
)
from unblur.evaluate.data.datasets import Portrait, read_roles

GRAY_PHOTO = np.full((60, 50, 3), 128, np.uint8)
WALKERS = [
    Walker(Portrait(f"P{number}", f"{number}.jpg", GRAY_PHOTO), Box(15, 20, 20, 25), True) for number in range(8)
]


@pytest.fixture(scope="module")
def walkers(data: Path, detector: YuNet) -> list[Walker]:
    people = read_roles(data / "test/lfw160.tar")
    return detect_walkers(people["probe"], detector, known=True) + detect_walkers(
        people["strangers"], detector, known=False
    )


@pytest.mark.parametrize("speed", SPEEDS)
def test_each_person_passes_once_at_the_speed(walkers: list[Walker], speed: Speed) -> None:
    truth = GroundTruth.of(make_scene(walkers, ClipSettings(speed), seed=4))
    people = {(one.person, one.known) for one in truth.appearances}
    assert people == {("Barack_Obama", True), ("Joe_Biden", True), ("Eileen_Collins", False)}
    assert len(truth.appearances) == 3
    slowest, fastest = SPEEDS[speed]
    for one in truth.appearances:
        assert slowest <= one.speed <= fastest
        assert FACES[0] <= one.sightings[0].box[2] <= FACES[1]
        assert len(one.sightings) > 0.8 * 1280 / one.speed, "visible on the whole path"
    assert {one.velocity[0] > 0 for one in truth.appearances} == {True, False}, "both directions"


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(st.integers(1, 6), st.integers(0, 99))
def test_at_once_limits_the_people_in_the_frame(at_once: int, seed: int) -> None:
    clip_scene = make_scene(WALKERS, ClipSettings("fast", at_once), seed)
    spans = [passage.span(clip_scene.width, clip_scene.height) for passage in clip_scene.passages]
    present = Counter(frame for enter, leave in spans for frame in range(int(np.ceil(enter)), int(leave)))
    assert max(present.values()) <= at_once
    assert min(enter for enter, _ in spans) >= 0
    assert max(leave for _, leave in spans) <= clip_scene.frames


@pytest.mark.slow
def test_of_two_people_who_cross_one_is_hidden() -> None:
    clip_scene = make_scene(WALKERS, ClipSettings("fast", crossing=True), seed=1)
    sensor = Sensor(clip_scene)
    hidden = [max(sensor.hidden(round(one.at) + off, one) for off in (-1, 0, 1)) for one in clip_scene.passages]
    assert sum(share > 0.3 for share in hidden) == len(WALKERS) / 2, "of two people who cross, one is behind"
    assert all(0.25 * 1280 < one.through[0] < 0.75 * 1280 for one in clip_scene.passages)
    directions = Counter((one.at, one.velocity[0] > 0) for one in clip_scene.passages)
    assert set(directions.values()) == {1}, "they enter from two sides"


@pytest.mark.slow
@pytest.mark.parametrize("speed", ["slow", "fast"])
def test_occlusion_hides_every_face_for_some_frames(speed: Speed) -> None:
    for one in GroundTruth.of(make_scene(WALKERS, ClipSettings(speed, at_once=1, occlusion=True), seed=2)).appearances:
        visible = {sighting.frame for sighting in one.sightings}
        assert 3 <= len(set(range(one.first_frame, one.last_frame + 1)) - visible) <= 30, "by its occluder and others"


@pytest.mark.slow
def test_without_occlusion_no_face_is_hidden() -> None:
    for one in GroundTruth.of(make_scene(WALKERS, ClipSettings("fast"), seed=3)).appearances:
        assert len(one.sightings) == one.last_frame - one.first_frame + 1


def test_lighting_goes_off_and_on() -> None:
    clip_scene = make_scene(WALKERS, ClipSettings("fast", lighting=True), seed=3)
    levels = [clip_scene.brightness(frame) for frame in range(clip_scene.frames)]
    assert min(levels) == pytest.approx(0.2)
    assert max(levels) == levels[0] == 1
    assert sum(abs(after - before) for before, after in pairwise(levels)) > 1.5, "and on again"


@pytest.mark.slow
def test_same_seed_gives_the_same_clip_and_another_seed_another(walkers: list[Walker], tmp_path: Path) -> None:
    clip_settings = ClipSettings("fast", crossing=True, occlusion=True, lighting=True, crf=40)
    for name in ("one", "two"):
        simulate_clip(walkers[:1], clip_settings, 5, tmp_path / f"{name}.mp4", tmp_path / f"{name}.json")
    for kind in ("mp4", "json"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    assert GroundTruth.of(make_scene(walkers[:1], clip_settings, 6)) != GroundTruth.load(tmp_path / "one.json")
    with av.open(str(tmp_path / "one.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == GroundTruth.load(tmp_path / "one.json").frames


def test_photographs_without_a_face_are_skipped(detector: YuNet, tmp_path: Path) -> None:
    blank: Image = np.full((160, 160, 3), 90, np.uint8)
    no_walkers = detect_walkers([Portrait("Nobody", "nobody.jpg", blank)], detector, known=True)
    assert no_walkers == []
    with pytest.raises(SourceError, match="nobody can be filmed"):
        simulate_clip(no_walkers, ClipSettings(), 0, tmp_path / "clip.mp4", tmp_path / "truth.json")


def test_command_writes_clip_truth_and_people_to_enroll(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip"
    options = ["--speed", "fast", "--seed", "2", "--shutter", "0.4", "--at-once", "3", "--crf", "35", "--occlusion"]
    assert main(["evaluate", "clip", str(data / "test/lfw160.tar"), "--out", str(out), *options]) == 0
    appearances: tuple[Appearance, ...] = GroundTruth.load(out / "truth.json").appearances
    assert {one.shutter for one in appearances} == {0.4}
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == {
        "clip.mp4",
        "truth.json",
        "people/Barack_Obama/Barack_Obama_0001.png",
        "people/Barack_Obama/Barack_Obama_0002.png",
        "people/Joe_Biden/Joe_Biden_0001.png",
    }


@pytest.mark.parametrize(
    ("options", "complaint"),
    [(["--shutter", "0"], "shutter"), (["--speed", "running"], "running"), (["--at-once", "0"], "at-once")],
)
def test_a_bad_option_prints_one_line_and_writes_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    out = tmp_path / "clip"
    assert main(["evaluate", "clip", str(data / "test/lfw160.tar"), "--out", str(out), *options]) == 2
    message = capsys.readouterr().err
    assert complaint in message
    assert message.count("\n") == 1
    assert not out.exists()
