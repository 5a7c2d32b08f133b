"""The video experiment: simulated clips through the whole program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unblur.evaluate.conftest import ROLES, pack
from tests.unblur.evaluate.scoring.test_event_log import appearance, event, truth
from unblur.cli import main
from unblur.evaluate.data.archives import crop_center
from unblur.evaluate.experiments.video import CIRCUMSTANCES, METHODS, compute_rates
from unblur.evaluate.experiments.video_baselines import FRAMES
from unblur.evaluate.scoring.event_log import score
from unblur.evaluate.scoring.open_set_metrics import Estimate

pytest.importorskip("matplotlib", reason="needs the extra `evaluate`")


@pytest.fixture(scope="module")
def videodata(faces: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("video")
    pack(folder / "test/lfw250_people.tar", {name: crop_center(faces[file], 220) for name, file in ROLES.items()})
    return folder


def read_row(out: Path, method: str) -> dict[str, Any]:
    rows = json.loads((out / "table.json").read_text(encoding="utf-8"))["tables"][0]["rows"]
    return next(each for each in rows if each["method"] == method)


def test_rates_are_shares_and_medians_over_appearances() -> None:
    people = [appearance(name, y=100 + 200 * place) for place, name in enumerate(("Ann", "Bob", "Cid"))]
    log = [event(3, None), event(12, "Ann"), event(3, "Ann", track=2, y=300), event(6, "Bob", track=2, y=300)]
    found = compute_rates(score(log, truth(*people, appearance("Stranger", known=False, y=700))).outcomes, "off")
    shares = {key: found[key] for key in ("right", "wrong", "unknown", "missed", "non_mated_named")}
    assert [each.value for each in shares.values() if isinstance(each, Estimate)] == pytest.approx(
        [2 / 3, 0, 0, 1 / 3, 0]
    )
    assert (found["known"], found["non_mated"], found["name_changes"]) == (3, 1, 0.5)
    median = found["seconds_to_name"]
    assert isinstance(median, Estimate)
    assert median.value == pytest.approx((12 + 6) / 2 / 30)


def test_rates_without_appearances_are_empty() -> None:
    found = compute_rates(score([], truth(appearance("Stranger", known=False))).outcomes, "off")
    assert (found["known"], found["right"], found["seconds_to_name"], found["name_changes"]) == (0, None, None, None)


def test_frame_by_frame_has_no_name_changes() -> None:
    outcomes = score([event(3, "Ann"), event(4, "Bob", track=2)], truth(appearance("Ann"))).outcomes
    assert compute_rates(outcomes, FRAMES)["name_changes"] is None


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--method", "magic"], "no method is called 'magic'"),
        (["--speed", "running"], "no class of speed is called 'running'"),
        (["--split", "val"], "cannot read the photographs"),
    ],
)
def test_a_bad_option_prints_one_line_and_writes_nothing(
    videodata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    out = tmp_path / "out"
    assert main(["evaluate", "video", "--data", str(videodata), "--out", str(out), *options]) == 2
    message = capsys.readouterr().err
    assert complaint in message
    assert message.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments", [[], ["log.jsonl"], ["--data", "d"], ["log.jsonl", "truth.json", "--data", "d", "--out", "o"]]
)
def test_the_command_takes_one_log_or_many_clips(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "video", *arguments]) == 2
    assert "give EVENTS and TRUTH, or --data and --out" in capsys.readouterr().err


@pytest.mark.slow
def test_a_class_of_speed_by_two_methods(videodata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--speed", "fast", "--method", "off", "--method", FRAMES, "--seed", "3"]
    assert main(["evaluate", "video", "--data", str(videodata), "--out", str(tmp_path), *options]) == 0
    assert capsys.readouterr().out == (tmp_path / "table.md").read_text(encoding="utf-8")
    assert len(list((tmp_path / "clips").iterdir())) == 2 * len(CIRCUMSTANCES)
    found = read_row(tmp_path, "off")
    assert (found["known"], found["non_mated"]) == (2 * len(CIRCUMSTANCES), 1)
    assert sum(found[key]["value"] for key in ("right", "wrong", "unknown", "missed")) == pytest.approx(1)
    assert found["missed"]["value"] < 0.5
    assert read_row(tmp_path, FRAMES)["name_changes"] is None
    assert len(list((tmp_path / "events").iterdir())) == 2 * len(CIRCUMSTANCES)
    assert {path.stem for path in tmp_path.glob("*.png")} == {"right", "wrong", "non-mated-named", "seconds-to-name"}


def read_logs(out: Path) -> dict[str, list[dict[str, object]]]:
    """Read every log without the ids of the events, which depend on the gallery's time of creation."""
    return {
        path.name: [json.loads(line) | {"id": None} for line in path.read_text(encoding="utf-8").splitlines()]
        for path in (out / "events").iterdir()
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_program_names_all_slow_faces_of_val(shared: Path, tmp_path: Path) -> None:
    options = ["--split", "val", "--speed", "slow", "--every", "14"]
    command = ["evaluate", "video", "--data", str(shared), "--out", str(tmp_path), *options]
    assert main(command) == 0
    for method in METHODS:
        found = read_row(tmp_path, method)
        assert found["wrong"]["value"] == found["non_mated_named"]["value"] == 0, method
    assert read_row(tmp_path, "auto")["right"]["value"] > 0.9
    off = read_row(tmp_path, "off")
    clips = {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()}
    events = read_logs(tmp_path)
    assert main([*command, "--method", "off"]) == 0
    assert read_row(tmp_path, "off") == off, "the same seed gives the same table"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()} == clips, (
        "clips are simulated once"
    )
    assert read_logs(tmp_path) == events
