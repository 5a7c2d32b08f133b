"""`unblur events verify`: exit status 0 for intact evidence, 1 with every violation otherwise."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from unblur.cli import main


@pytest.fixture
def run(demo: Path, tmp_path: Path) -> Path:
    """A copy of the demo's evidence and log."""
    shutil.copytree(demo / "crops", tmp_path / "crops")
    shutil.copy(demo / "events.jsonl", tmp_path)
    return tmp_path


def test_a_run_can_be_verified_with_its_log(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "verify", str(run / "crops"), "--log", str(run / "events.jsonl")]) == 0
    events = len((run / "events.jsonl").read_bytes().splitlines())
    assert f"{run / 'crops'}: intact; {events} events" in capsys.readouterr().out


def test_every_violation_is_reported(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = next((run / "crops").glob("*.restored.png"))
    picture.write_bytes(picture.read_bytes()[:-1])
    log = run / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[1:]))
    (key,) = (run / "crops").glob("*.pem")
    trusted_key = run / "trusted_key.pem"
    shutil.copy(key, trusted_key)
    assert main(["events", "verify", str(run / "crops"), "--log", str(log), "--key", str(trusted_key)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{picture.name}: was changed"
    assert out[1].endswith(": is missing from the log")
    assert out[2].startswith(f"{run / 'crops'}: 2 faults; ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["none"], "cannot read evidence from"),
        (["crops", "--log", "none"], "cannot read events from"),
        (["crops", "--key", "none"], "cannot read the public key"),
        (["crops", "--key", "events.jsonl"], "is no public key"),
    ],
)
def test_bad_input_is_reported_in_one_line(
    arguments: list[str], complaint: str, run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    assert main(["events", "verify", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
