"""The demo's scene."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.yunet import YuNet
from models.backends.selection import load
from stream.errors import SourceError
from stream.simulation.ground_truth import GroundTruth
from stream.simulation.scene import Scene
from stream.simulation.sensor import Sensor
from unblur.commands.demo import ENROLLED, demo_scene, make_enrollment_folder


@pytest.fixture(scope="module")
def detector(yunet_path: Path) -> YuNet:
    return YuNet(load(yunet_path))


@pytest.fixture(scope="module")
def scene(portraits: Path, detector: YuNet) -> Scene:
    return demo_scene(portraits, detector)


def test_known_and_unknown_person_pass_slow_and_fast(scene: Scene) -> None:
    appearances = {(one.known, one.speed_class) for one in GroundTruth.of(scene).appearances}
    assert {(True, "slow"), (True, "fast"), (False, "slow"), (False, "fast")} <= appearances


def test_no_person_is_shown_with_their_enrolled_photo(scene: Scene) -> None:
    enrolled = {member.picture for member in ENROLLED.values()}
    appearances = GroundTruth.of(scene).appearances
    assert not enrolled & {one.picture for one in appearances}
    assert {one.person for one in appearances if one.known} <= set(ENROLLED)
    assert not {one.person for one in appearances if not one.known} & set(ENROLLED)


def test_every_face_can_be_found_in_the_middle_of_its_passage(scene: Scene, detector: YuNet) -> None:
    sensor = Sensor(scene)
    for one in GroundTruth.of(scene).appearances:
        clear = [sighting for sighting in one.sightings if sighting.visible > 0.99]
        x, y, width, height = clear[len(clear) // 2].box
        found = detector.detect(sensor.render_frame(clear[len(clear) // 2].frame))
        centres = [face.box.center for face in found]
        assert any(
            abs(cx - x - width / 2) < width / 4 and abs(cy - y - height / 2) < height / 4 for cx, cy in centres
        ), one.person


def test_enrollment_folder_has_the_layout_of_enroll(portraits: Path, tmp_path: Path) -> None:
    folder = make_enrollment_folder(portraits, tmp_path / "faces")
    assert {path.name for path in folder.iterdir()} == {"Barack_Obama", "Joe_Biden"}
    person = folder / "Barack_Obama"
    assert (person / "obama.jpg").read_bytes() == (portraits / "obama.jpg").read_bytes()
    assert "President" in (person / "about.txt").read_text()


def test_missing_photo_is_reported(tmp_path: Path, detector: YuNet) -> None:
    with pytest.raises(SourceError, match=r"obama3\.jpg"):
        demo_scene(tmp_path, detector)
