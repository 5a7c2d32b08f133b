"""Simulated clips through the whole program, and its table."""

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


def row(out: Path, method: str) -> dict[str, Any]:
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


def test_rates_of_nobody_are_empty() -> None:
    found = compute_rates(score([], truth(appearance("Stranger", known=False))).outcomes, "off")
    assert (found["known"], found["right"], found["seconds_to_name"], found["name_changes"]) == (0, None, None, None)


def test_who_has_no_tracks_has_no_changes_in_them() -> None:
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
def test_bad_options_are_one_line_and_write_nothing(
    videodata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    out = tmp_path / "out"
    assert main(["evaluate", "video", "--data", str(videodata), "--out", str(out), *options]) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments", [[], ["log.jsonl"], ["--data", "d"], ["log.jsonl", "truth.json", "--data", "d", "--out", "o"]]
)
def test_one_log_or_many_clips_but_not_both(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "video", *arguments]) == 2
    assert "give EVENTS and TRUTH, or --data and --out" in capsys.readouterr().err


@pytest.mark.slow
def test_a_class_of_speed_by_two_methods(videodata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--speed", "fast", "--method", "off", "--method", FRAMES, "--seed", "3"]
    assert main(["evaluate", "video", "--data", str(videodata), "--out", str(tmp_path), *chosen]) == 0
    assert capsys.readouterr().out == (tmp_path / "table.md").read_text(encoding="utf-8")
    assert len(list((tmp_path / "clips").iterdir())) == 2 * len(CIRCUMSTANCES)
    found = row(tmp_path, "off")
    assert (found["known"], found["non_mated"]) == (2 * len(CIRCUMSTANCES), 1)
    assert sum(found[key]["value"] for key in ("right", "wrong", "unknown", "missed")) == pytest.approx(1)
    assert found["missed"]["value"] < 0.5
    assert row(tmp_path, FRAMES)["name_changes"] is None
    assert len(list((tmp_path / "events").iterdir())) == 2 * len(CIRCUMSTANCES)
    assert {path.stem for path in tmp_path.glob("*.png")} == {"right", "wrong", "non-mated-named", "seconds-to-name"}


def logged(out: Path) -> dict[str, list[dict[str, object]]]:
    """Every log, without the events' ids: those tell one making of the gallery from the next, by its hour."""
    return {
        path.name: [json.loads(line) | {"id": None} for line in path.read_text(encoding="utf-8").splitlines()]
        for path in (out / "events").iterdir()
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_slow_faces_of_val_are_all_named_by_the_program(shared: Path, tmp_path: Path) -> None:
    chosen = ["--split", "val", "--speed", "slow", "--every", "14"]
    command = ["evaluate", "video", "--data", str(shared), "--out", str(tmp_path), *chosen]
    assert main(command) == 0
    for method in METHODS:
        found = row(tmp_path, method)
        assert found["wrong"]["value"] == found["non_mated_named"]["value"] == 0, method
    assert row(tmp_path, "auto")["right"]["value"] > 0.9
    off = row(tmp_path, "off")
    clips = {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()}
    events = logged(tmp_path)
    assert main([*command, "--method", "off"]) == 0
    assert row(tmp_path, "off") == off, "the same seed gives the same table"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()} == clips, "clips are made once"
    assert logged(tmp_path) == events
