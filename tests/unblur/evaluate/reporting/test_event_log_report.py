from __future__ import annotations

from pathlib import Path

import pytest

from tests.unblur.evaluate.scoring.test_event_log import appearance, event, truth
from unblur.cli import main
from unblur.evaluate.reporting.event_log_report import summarize
from unblur.evaluate.scoring.event_log import score


def test_summary_counts_and_takes_medians() -> None:
    ground_truth = truth(appearance("Ann"), appearance("Bob", y=300), appearance("Stranger", known=False, y=500))
    log = [
        event(3, None, kind="new"),
        event(12, "Ann"),
        event(6, "Ann", track=2, y=300),
        event(9, None, x=900, track=3),
    ]
    cells = summarize(score(log, ground_truth))
    assert {key: cells[key] for key in ("right", "wrong", "unknown", "missed")} == {
        "right": 1,
        "wrong": 1,
        "unknown": 0,
        "missed": 0,
    }
    assert (cells["non_mated_wrong"], cells["non_mated_missed"], cells["stray"]) == (0, 1, 1)
    assert cells["seconds_to_name"] == pytest.approx(12 / 30)


def test_command_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ground_truth, log = tmp_path / "truth.json", tmp_path / "events.jsonl"
    truth(appearance("Ann")).save(ground_truth)
    log.write_text(event(3, "Ann").model_dump_json() + "\n", encoding="utf-8")
    assert main(["evaluate", "video", str(log), str(ground_truth)]) == 0
    assert "| 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0.10 |" in capsys.readouterr().out


def test_a_missing_log_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "video", str(tmp_path / "log.jsonl"), str(tmp_path / "truth.json")]) == 2
    assert "cannot read the events" in capsys.readouterr().err
