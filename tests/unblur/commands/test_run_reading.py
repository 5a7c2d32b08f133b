"""A command that reads creates nothing, whether or not what it is to read is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unblur.support.kept import write_data_folder, write_personal_data
from unblur.cli import main

Command = Callable[[Path], list[str]]
READING: dict[str, Command] = {
    "users list": lambda f: ["users", "list", "--data", str(f)],
    "events list, file": lambda f: ["events", "list", str(f / "log.jsonl")],
    "events list, store": lambda f: ["events", "list", f"sqlite:///{f / 'events.sqlite'}"],
    "events export, file": lambda f: ["events", "export", str(f / "log.jsonl"), "--format", "csv"],
    "events export, store": lambda f: ["events", "export", f"sqlite:///{f / 'events.sqlite'}"],
    "events verify": lambda f: ["events", "verify", str(f / "evidence")],
    "events verify, store": lambda f: ["events", "verify", f"{f}/evidence", "--log", f"sqlite:///{f}/events.sqlite"],
    "calibrate": lambda f: ["calibrate", str(f / "people.joblib")],
    "doctor": lambda _: ["doctor"],
    "evaluate video": lambda f: ["evaluate", "video", str(f / "log.jsonl"), str(f / "truth.json")],
}  # fmt: skip
REFUSED: dict[str, Command] = {
    "users remove": lambda f: ["users", "remove", "ann", "--data", str(f)],
    "users password": lambda f: ["users", "password", "ann", "--data", str(f)],
    "events crops": lambda f: ["events", "crops", str(f / "evidence"), "--out", str(f / "out")],
    "forget, data": lambda f: ["forget", "Ann", "--data", str(f)],
    "forget, log": lambda f: ["forget", "Ann", "--log", str(f / "log.jsonl")],
    "forget, store": lambda f: ["forget", "Ann", "--store", f"sqlite:///{f / 'log.sqlite'}"],
    "forget, evidence": lambda f: ["forget", "Ann", "--evidence", str(f / "evidence")],
    "forget, gallery": lambda f: ["forget", "Ann", "--gallery", str(f / "people.joblib")],
    "forget, demo": lambda f: ["forget", "--demo", "--data", str(f)],
    "forget, expired": lambda f: ["forget", "--expired", "--data", str(f)],
    "run": lambda f: ["run", str(f / "camera.mp4"), "--events", str(f / "log.jsonl")],
    "image": lambda f: ["image", str(f / "photo.jpg"), "--gallery", str(f / "people.joblib"), "--out", str(f / "out")],
    "fit": lambda f: ["fit", str(f / "faces"), "--embedder", "pca", "--out", str(f / "fitted")],
    "bench": lambda f: ["bench", "--data", str(f)],
}  # fmt: skip


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything in it, files with size and time of change."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (0, 0)
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("command", [*READING, *REFUSED])
def test_reading_a_missing_file_creates_nothing(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    status = main((READING | REFUSED)[command](tmp_path / "nowhere"))
    assert tree(tmp_path) == {}
    assert status == (0 if command == "doctor" else 2)
    if status:
        assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("command", READING)
def test_reading_changes_nothing(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "there"
    folder.mkdir()
    write_data_folder(folder)
    (tmp_path / "more").mkdir()
    write_personal_data(tmp_path / "more")
    (tmp_path / "more/log.jsonl").rename(folder / "log.jsonl")
    before = tree(tmp_path)
    main(READING[command](folder))
    assert tree(tmp_path) == before


def test_listing_accounts_creates_no_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert main(["users", "list"]) == 2
    assert str(tmp_path / "unblur") in capsys.readouterr().err
    assert tree(tmp_path) == {}
