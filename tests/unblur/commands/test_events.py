"""`unblur events`: the log as a table, and written out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len

from stream.errors import OutputError, StorageError, UsageError
from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog
from stream.events.query import EventFilter
from tests.stream.events.test_jsonl_log import no_room
from tests.stream.support.events import an_event
from unblur.commands.events import export, print_events

ROOT = Path(__file__).parents[3]
TEN = datetime(2026, 11, 22, 10, tzinfo=UTC)
NAMES = ["Eileen Collins", "山田太郎", "محمد الأحمد", None, "👩‍🚀"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Five events of people with names in several scripts."""
    path = tmp_path / "e.jsonl"
    file = JsonlEventLog(path)
    for number, name in enumerate(NAMES):
        file.write(an_event(number, name, wall_time=TEN if number % 2 else None))
    file.close()
    return path


def in_a_process(arguments: list[str], stdout: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unblur", "events", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


def test_the_columns_are_aligned_in_any_script(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_events(str(log), EventFilter())
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["time", "camera", "track", "event", "who", "score", "raw", "restored", "by"]
    assert [line.split()[0] for line in lines[:2]] == ["0.00", "2026-11-22T10:00:00.000Z"]
    for line, name in zip(lines, NAMES, strict=True):
        before, who, after = line.partition(name or "unknown")
        assert cell_len(before) == heading.index("who")
        assert cell_len(before + who) + after.index("0.63") == heading.index("score")


def test_an_event_is_shown_before_the_next_is_read(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with log.open("ab") as file:
        file.write(b"no event\n")
    with pytest.raises(UsageError, match="line 6"):
        print_events(str(log), EventFilter())
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(NAMES)
    with pytest.raises(UsageError, match="No such file"):
        print_events(str(log.with_name("none")), EventFilter())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["\x1b[2J", "two\nlines", "\u2028", "\ud800", "a\rb", "\x9b2J"])
def test_a_name_neither_breaks_a_line_nor_steers_the_terminal(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = JsonlEventLog(tmp_path / "e.jsonl")
    log.write(an_event(0, name))
    log.close()
    print_events(str(tmp_path / "e.jsonl"), EventFilter())
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2
    assert name not in out
    assert name.encode("unicode_escape").decode() in out


@pytest.mark.parametrize("name", ["e.jsonl", "link", "e.jsonl.part", "e.sqlite"])
def test_a_log_is_not_written_over_itself(name: str, log: Path) -> None:
    out = log.with_name(name)
    source = str(log)
    if name == "link":
        out.symlink_to(log)
    elif name.endswith(".part"):
        source, out = str(log.rename(out)), log
    elif name == "e.sqlite":
        source = f"sqlite:///{out}"
        SqlEventStore(source).close()
    before = {path.name: path.read_bytes() for path in log.parent.iterdir()}
    with pytest.raises(UsageError, match="overwrite the log"):
        export(source, EventFilter(), "json", out)
    assert {path.name: path.read_bytes() for path in log.parent.iterdir()} == before


def test_a_target_that_is_no_place_for_a_file_is_bad_usage(log: Path) -> None:
    os.mkfifo(log.with_name("pipe"))
    before = sorted(log.parent.iterdir())
    for out in (log.parent, log.with_name("pipe"), log.parent / "none" / "out", log / "out"):
        with pytest.raises(OutputError, match="cannot write"):
            export(str(log), EventFilter(), "csv", out)
    assert sorted(log.parent.iterdir()) == before


def test_a_full_disk_fails_and_keeps_the_old_file(log: Path) -> None:
    out = log.with_name("out.json")
    out.write_text("before")
    with no_room(), pytest.raises(StorageError, match=r"cannot write .*out\.json: .*; make room"):
        export(str(log), EventFilter(), "json", out)
    assert out.read_text() == "before"
    assert sorted(log.parent.iterdir()) == [log, out]


def test_a_target_is_written_atomically(log: Path) -> None:
    export(str(log), EventFilter(person="unknown"), "json", log.with_name("out.json"))
    assert json.loads(log.with_name("out.json").read_text("utf-8"))["id"] == "event-3"


@pytest.mark.parametrize("command", [["list"], ["export"]])
def test_standard_output_may_be_full_or_closed(command: list[str], log: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        run = in_a_process([*command, str(log)], full.fileno())
    assert run.returncode == 1
    assert run.stderr == "unblur: cannot write to standard output: No space left on device; make room and try again\n"
    reader, writer = os.pipe()
    os.close(reader)
    run = in_a_process([*command, str(log)], writer)
    os.close(writer)
    assert (run.returncode, run.stderr) == (0, "")
