"""An erased person is removed from every file, and the remaining data stays consistent."""

from __future__ import annotations

import contextlib
import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from models.assets.fetch import fingerprint
from recognize.gallery.people_gallery import load_gallery
from stream.events.query import query
from stream.evidence.chain_entries import CHAIN, RemovedEntry, placed
from stream.evidence.signing import Signer
from tests.stream.evidence.test_verify_chain import examined
from tests.unblur.support.kept import ERASED, ERASED_EVENTS, bytes_of, open_data, write_personal_data
from unblur.cli import main
from unblur.privacy.erasure import erase


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_personal_data(tmp_path)
    return tmp_path


def arguments(folder: Path, *names: str) -> list[str]:
    store = f"sqlite:///{folder / 'log.sqlite'}"
    every = {"gallery": "people.joblib", "log": "log.jsonl", "evidence": "evidence"}
    given = [part for name in names if name in every for part in (f"--{name}", str(folder / every[name]))]
    return ["forget", ERASED, *given, *(["--store", store] if "store" in names else [])]


def test_an_erased_person_is_in_no_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = ERASED.encode()
    crops = [path.read_bytes() for event in ERASED_EVENTS for path in (folder / "evidence").glob(f"{event}.*png")]
    assert name in bytes_of(folder)
    assert len(crops) == 6
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 0
    remaining = bytes_of(folder)
    assert name not in remaining
    assert json.dumps(ERASED)[1:-1].encode() not in remaining
    assert not any(crop in remaining for crop in crops)
    out = capsys.readouterr().out
    assert "the gallery's entry is gone; 15 log entries and 5 bundles" in out
    assert "was seen by lobby from 2026-03-01T12:00:00.000Z to 2026-03-01T15:00:00.000Z" in out
    assert "- recordings" in out
    assert "- what was exported" in out


def test_the_remaining_evidence_verifies_and_records_the_erasure(folder: Path) -> None:
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 0
    for log in (folder / "log.jsonl", f"sqlite:///{folder / 'log.sqlite'}"):
        findings = examined(folder / "evidence", log, key=Signer())
        assert not findings.faults
        assert "bundles were removed or changed 1 times: forgotten" in findings.notes
        remaining = list(query(str(log)))
        assert [event["id"] for event in remaining] == ["event-2", "event-4", "event-5", "event-6"]
        assert {event["name"] for event in remaining} == {"Ann", "Bob"}
    assert load_gallery(folder / "people.joblib", fingerprint("sface")).names == ("Ann", "Bob")
    lines = (folder / "evidence" / CHAIN).read_bytes().splitlines(keepends=True)
    (word,) = [place.link for place in placed(lines) if isinstance(place.link, RemovedEntry)]
    assert word.why == "forgotten"
    assert {event for event, digest in word.bundles.items() if digest is None} == ERASED_EVENTS


def test_a_run_continues_after_an_erasure(folder: Path) -> None:
    assert main(arguments(folder, "evidence")) == 0
    with ExitStack() as stack:
        open_data(folder, stack)
    assert not examined(folder / "evidence").faults


def test_a_tombstone_cannot_be_forged(folder: Path) -> None:
    assert main(arguments(folder, "evidence")) == 0
    chain = folder / "evidence" / CHAIN
    chain.write_bytes(chain.read_bytes().replace(b'"event-0":null', b'"event-5":null'))
    names = {fault.name for fault in examined(folder / "evidence").faults}
    assert "event-5.json" in names
    assert any(name.startswith(f"{CHAIN}, link") for name in names)


def test_an_interrupted_erasure_is_completed_by_the_next(folder: Path) -> None:
    with ExitStack() as stack:
        opened = open_data(folder, stack)
        assert opened.evidence
        ready = opened.evidence._reconcile_files
        opened.evidence._reconcile_files = lambda: None  # type: ignore[method-assign]  # killed just after the chain was written
        erase(ERASED, opened)
        opened.evidence._reconcile_files = ready  # type: ignore[method-assign]
        assert (folder / "evidence" / "event-0.json").exists()
    with ExitStack() as stack:
        open_data(folder, stack)
    assert not list((folder / "evidence").glob("event-0.*"))
    assert ERASED.encode() not in bytes_of(folder)
    assert not examined(folder / "evidence", folder / "log.jsonl").faults


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"event": {}}'])
def test_an_unreadable_bundle_does_not_stop_the_erasure(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: bytes
) -> None:
    (folder / "evidence" / "event-1.json").unlink()  # the erased person's, according to the logs
    (folder / "evidence" / "event-5.json").write_bytes(damage)
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 1
    output = capsys.readouterr()
    assert "the gallery's entry is gone; 15 log entries and 5 bundles" in output.out
    assert "whom the evidence of event-5 shows is not known" in output.err
    assert "event-1" not in output.err
    assert ERASED.encode() not in bytes_of(folder)
    remaining = {path.name.partition(".")[0] for path in (folder / "evidence").glob("*.png")}
    assert remaining == {"event-2", "event-4", "event-5", "event-6"}


def test_an_unreadable_log_does_not_stop_the_erasure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = folder / "log.jsonl.previous"
    content = log.read_bytes()
    log.write_bytes(content.replace(b'"type":"end"', b'"type":"?"'))
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 1
    assert str(log) in capsys.readouterr().err
    assert ERASED.encode() not in b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file() and path != log
    )
    log.write_bytes(content)
    assert main(arguments(folder, "gallery", "log", "store", "evidence")) == 0
    assert ERASED.encode() not in bytes_of(folder)
    assert not examined(folder / "evidence", folder / "log.jsonl").faults


def test_a_log_in_use_is_not_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = bytes_of(folder)
    with ExitStack() as stack:
        open_data(folder, stack)
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
def test_bad_input_is_reported_and_nothing_is_created(
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
