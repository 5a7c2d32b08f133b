"""Who is forgotten is gone from every file, and what is left still holds together."""

from __future__ import annotations

import contextlib
import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from models.assets.fetch import fingerprint
from recognize.gallery.people_gallery import load_gallery
from stream.events.query import query
from stream.evidence.chain_entries import CHAIN, Removed, placed
from stream.evidence.signing import Signer
from tests.stream.evidence.test_verify_chain import examined
from tests.unblur.support.kept import GONE, HERS, bytes_of, keep, records
from unblur.cli import main
from unblur.privacy.erasure import erase


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keep(tmp_path)
    return tmp_path


def arguments(folder: Path, *names: str) -> list[str]:
    store = f"sqlite:///{folder / 'log.sqlite'}"
    every = {"gallery": "people.joblib", "log": "log.jsonl", "evidence": "evidence"}
    given = [part for name in names if name in every for part in (f"--{name}", str(folder / every[name]))]
    return ["forget", GONE, *given, *(["--store", store] if "store" in names else [])]


def test_nothing_of_a_forgotten_person_is_left_in_any_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = GONE.encode()
    crops = [path.read_bytes() for event in HERS for path in (folder / "evidence").glob(f"{event}.*png")]
    assert name in bytes_of(folder)
    assert len(crops) == 6
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 0
    left = bytes_of(folder)
    assert name not in left
    assert json.dumps(GONE)[1:-1].encode() not in left
    assert not any(crop in left for crop in crops)
    out = capsys.readouterr().out
    assert "the gallery's entry is gone; 15 log entries and 5 bundles" in out
    assert "was seen by lobby from 2026-03-01T12:00:00.000Z to 2026-03-01T15:00:00.000Z" in out
    assert "- recordings" in out
    assert "- what was exported" in out


def test_what_is_left_is_whole_and_says_that_something_was_forgotten(folder: Path) -> None:
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 0
    for log in (folder / "log.jsonl", f"sqlite:///{folder / 'log.sqlite'}"):
        findings = examined(folder / "evidence", log, key=Signer())
        assert not findings.faults
        assert "bundles were removed or changed 1 times: forgotten" in findings.notes
        left = list(query(str(log)))
        assert [event["id"] for event in left] == ["event-2", "event-4", "event-5", "event-6"]
        assert {event["name"] for event in left} == {"Ann", "Bob"}
    assert load_gallery(folder / "people.joblib", fingerprint("sface")).names == ("Ann", "Bob")
    lines = (folder / "evidence" / CHAIN).read_bytes().splitlines(keepends=True)
    (word,) = [place.link for place in placed(lines) if isinstance(place.link, Removed)]
    assert word.why == "forgotten"
    assert {event for event, digest in word.bundles.items() if digest is None} == HERS


def test_a_run_goes_on_where_somebody_was_forgotten(folder: Path) -> None:
    assert main(arguments(folder, "evidence")) == 0
    with ExitStack() as stack:
        records(folder, stack)
    assert not examined(folder / "evidence").faults


def test_a_tombstone_cannot_be_forged(folder: Path) -> None:
    assert main(arguments(folder, "evidence")) == 0
    chain = folder / "evidence" / CHAIN
    chain.write_bytes(chain.read_bytes().replace(b'"event-0":null', b'"event-5":null'))
    names = {fault.name for fault in examined(folder / "evidence").faults}
    assert "event-5.json" in names
    assert any(name.startswith(f"{CHAIN}, link") for name in names)


def test_forgetting_that_was_interrupted_is_finished_by_doing_it_again(folder: Path) -> None:
    with ExitStack() as stack:
        opened = records(folder, stack)
        assert opened.evidence
        ready = opened.evidence._reconcile_files
        opened.evidence._reconcile_files = lambda: None  # type: ignore[method-assign]  # killed just after the chain was written
        erase(GONE, opened)
        opened.evidence._reconcile_files = ready  # type: ignore[method-assign]
        assert (folder / "evidence" / "event-0.json").exists()
    with ExitStack() as stack:
        records(folder, stack)
    assert not list((folder / "evidence").glob("event-0.*"))
    assert GONE.encode() not in bytes_of(folder)
    assert not examined(folder / "evidence", folder / "log.jsonl").faults


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"event": {}}'])
def test_a_bundle_that_cannot_be_read_keeps_nothing_else_from_going(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: bytes
) -> None:
    (folder / "evidence" / "event-1.json").unlink()  # hers, as the logs tell
    (folder / "evidence" / "event-5.json").write_bytes(damage)
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 1
    told = capsys.readouterr()
    assert "the gallery's entry is gone; 15 log entries and 5 bundles" in told.out
    assert "whom the evidence of event-5 shows is not known" in told.err
    assert "event-1" not in told.err
    assert GONE.encode() not in bytes_of(folder)
    left = {path.name.partition(".")[0] for path in (folder / "evidence").glob("*.png")}
    assert left == {"event-2", "event-4", "event-5", "event-6"}


def test_a_log_that_cannot_be_read_keeps_nothing_else_from_going(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = folder / "log.jsonl.previous"
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b'"type":"end"', b'"type":"?"'))
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 1
    assert str(log) in capsys.readouterr().err
    assert GONE.encode() not in b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file() and path != log
    )
    log.write_bytes(whole)
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 0
    assert GONE.encode() not in bytes_of(folder)
    assert not examined(folder / "evidence", folder / "log.jsonl").faults


def test_a_log_that_is_being_written_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = bytes_of(folder)
    with ExitStack() as stack:
        records(folder, stack)
        assert main(arguments(folder, "log")) == 2
        assert "another unblur is writing there; end it" in capsys.readouterr().err
    assert bytes_of(folder) == before


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["forget", "Nobody", "--log", "log.jsonl"], "nothing is known of 'Nobody'"),
        (["forget", "Ann", "--log", "none.jsonl"], "does not exist"),
        (["forget", "Ann", "--store", "sqlite:///none.sqlite"], "does not exist"),
        (["forget", "Ann"], "nothing to forget in"),
        (["forget", "Ann", "--data", "."], ". is no folder of data of `unblur serve`"),
        (["forget", "Ann", "--data", "none"], "none is no folder of data of `unblur serve`"),
        (["forget"], "name a person, or give --expired"),
        (["forget", "Ann", "--expired", "--log", "log.jsonl"], "name a person, or give --expired"),
    ],
)
def test_bad_input_is_told_and_nothing_is_made(
    command: list[str],
    complaint: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    with contextlib.chdir(folder):
        assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
    assert sorted(folder.iterdir()) == before
