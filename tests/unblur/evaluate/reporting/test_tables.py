from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream.errors import OutputError, StorageError
from unblur import terminal
from unblur.evaluate.reporting import output_folder
from unblur.evaluate.reporting.run_record import RunRecord, record_run
from unblur.evaluate.reporting.tables import Column, Table, to_json, to_markdown
from unblur.evaluate.scoring.open_set_metrics import Estimate

TABLE = Table(
    "Gains",
    [Column("blur", "blur"), Column("gain", "gain", "+.2f"), Column("lost", "lost")],
    [{"blur": "box5", "gain": Estimate(1.234, 1.1, 1.3), "lost": 3}, {"blur": "none"}],
)
RECORD = RunRecord("test/faces.tar", 7, "abc1234", "a machine, 2 cores", "onnxruntime", ("8 faces",))


def test_markdown_has_values_with_intervals_and_the_record() -> None:
    text = to_markdown("Restoration", [TABLE], RECORD)
    assert "| box5 | +1.23 (+1.10 to +1.30) | 3 |\n| none |  |  |\n" in text
    for line in (
        "data: test/faces.tar",
        "seed: 7",
        "commit: abc1234",
        "machine: a machine",
        "backend: onnx",
        "8 faces",
    ):
        assert f"\n- {line}" in text


def test_json_has_the_same_content() -> None:
    content = json.loads(to_json("Restoration", [TABLE], RECORD))
    assert content["record"]["seed"] == 7
    assert content["tables"][0]["rows"][0]["gain"] == {"value": 1.234, "low": 1.1, "high": 1.3}


def test_a_run_is_recorded(data: Path) -> None:
    made = record_run([data / "test/lfw160.tar"], 0, "onnxruntime")
    assert made.data.startswith("test/lfw160.tar (sha256 ")
    assert made.commit
    assert made.machine.endswith("cores")


def test_files_are_replaced_atomically(tmp_path: Path) -> None:
    def draw(file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "plot.png").write_bytes(b"old")
    with pytest.raises(StorageError, match=r"cannot write .*plot\.png: No space left on device"):
        output_folder.write(tmp_path, "Restoration", [TABLE], RECORD, {"plot": draw})
    assert (tmp_path / "plot.png").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "table.json", "plot.png"}


def test_a_file_in_place_of_the_folder_raises(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write to the folder"):
        terminal.make_writable_folder(tmp_path / "file")
