"""The answer sheet of a simulated clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream.errors import SourceError
from stream.simulation.cutout import Cutout
from stream.simulation.ground_truth import GroundTruth, speed_class
from stream.simulation.scene import Occluder, Scene, WalkerPath
from stream.values import Box

CARD = Cutout(np.ones((30, 30, 4), np.float32), Box(5, 5, 20, 20))


def passage(person: str, through: tuple[float, float], velocity: tuple[float, float]) -> WalkerPath:
    return WalkerPath(person, person == "Known", f"{person}.jpg", CARD, through, velocity)


def truth(*passages: WalkerPath, frames: int = 60) -> GroundTruth:
    return GroundTruth.of(Scene(np.zeros((90, 160, 3), np.uint8), passages, frames, seed=3))


def test_face_is_visible_while_half_of_it_is_inside() -> None:
    (appearance,) = truth(passage("Known", (-20, 45), (4, 0))).appearances
    assert (appearance.first_frame, appearance.last_frame) == (5, 45)
    assert [one.frame for one in appearance.sightings] == list(range(5, 46))
    assert appearance.sightings[5].box == (10, 35, 20, 20)
    assert appearance.sightings[0].visible == 0.5
    assert (appearance.speed, appearance.speed_class, appearance.shutter) == (4, "slow", 0.6)


def test_hidden_face_is_not_seen_in_between() -> None:
    farther, nearer = passage("Known", (80, 45), (0, 0)), passage("Stranger", (0, 45), (4, 0))
    appearances = {one.person: one for one in truth(farther, nearer).appearances}
    frames = {one.frame for one in appearances["Known"].sightings}
    assert 20 not in frames, "the nearer face is right before the farther"
    assert {0, 40} <= frames
    assert len(appearances["Stranger"].sightings) == 41
    assert appearances["Known"].known
    assert not appearances["Stranger"].known


def test_face_behind_an_occluder_is_not_seen() -> None:
    board = Occluder(np.ones((40, 40, 4), np.float32), (80, 45), (8, 0), at=30)
    scene = Scene(np.zeros((90, 160, 3), np.uint8), (passage("Known", (80, 45), (0, 0)),), 60, occluders=(board,))
    (appearance,) = GroundTruth.of(scene).appearances
    assert {one.frame for one in appearance.sightings} == {*range(28), *range(33, 60)}


def test_who_never_comes_into_view_has_no_appearance() -> None:
    assert truth(passage("Known", (-400, 45), (1, 0))).appearances == ()


def test_truth_survives_the_disk(tmp_path: Path) -> None:
    sheet = truth(passage("Known", (0, 45), (15, 1)), passage("Stranger", (80, 45), (-30, 0)))
    sheet.save(tmp_path / "truth.json")
    assert GroundTruth.load(tmp_path / "truth.json") == sheet
    assert [path.name for path in tmp_path.iterdir()] == ["truth.json"]


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 2}', "[1]"])
def test_what_is_no_truth_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=r"truth\.json is not the truth of a simulated clip") as caught:
        GroundTruth.load(path)
    assert "\n" not in str(caught.value)


def test_missing_truth_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="absent"):
        GroundTruth.load(tmp_path / "absent")


def test_speed_classes() -> None:
    assert [speed_class(speed) for speed in (4, 6, 10, 20, 22, 43)] == ["slow"] * 2 + ["medium"] * 2 + ["fast"] * 2
