"""`unblur bench` on a clip of three people."""

from __future__ import annotations

from pathlib import Path

import pytest

from unblur.evaluate.experiments.speed import OURS, compare, record_clip, stage_table
from unblur.evaluate.experiments.stage_times import Stages


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tables_have_a_row_for_each_program_and_stage(shared: Path, tmp_path: Path) -> None:
    footage = record_clip(shared, tmp_path, mated=2, non_mated=1)
    report = compare(footage, tmp_path)
    rows = [line.split(" | ") for line in report.splitlines() if " of 2 | " in line]
    assert [row[0].removeprefix("| ") for row in rows] == [
        "plain loop, OpenCV's classes",
        "plain loop, unblur's prepared SFace",
        OURS,
        "unblur, nothing restored",
    ]
    assert rows[2][5] == "2 of 2"
    assert "2 of 2 bear the right name" in report
    stages = stage_table(footage, tmp_path)
    assert stages.startswith(f"{footage.frames} frames, ")
    assert all(f"| {stage} |" in stages for stage in ("detect", "track", "crop", "deblur", "recognise", "log"))


def test_stages_are_sorted_by_cost_with_their_shares(tmp_path: Path) -> None:
    counts = {"frames": 100, "detections": 50, "crops": 9, "restored": 3}
    Stages(counts, {"detect": 1.0, "deblur": 3.0}).save(tmp_path / "stages.json")
    assert Stages.load(tmp_path / "stages.json").table().splitlines() == [
        "100 frames, 50 searched; 9 crops, 3 of them restored.",
        "",
        "| stage | seconds | ms a frame | share |",
        "|---|---|---|---|",
        "| deblur | 3.00 | 30.00 | 75 % |",
        "| detect | 1.00 | 10.00 | 25 % |",
    ]
