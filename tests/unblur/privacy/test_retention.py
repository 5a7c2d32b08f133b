"""Data beyond the age or size limits is deleted, oldest first, and the remaining data stays consistent."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from configs.schema import Limit, Retention
from models.assets.fetch import fingerprint
from recognize.gallery import gallery_edits
from recognize.gallery.people_gallery import Gallery, load_gallery
from recognize.gallery.person import Person
from stream.errors import StorageError
from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog
from stream.events.query import query
from stream.evidence.chain_entries import CHAIN, Truncation, placed
from stream.evidence.evidence_store import EvidenceStore
from stream.evidence.signing import Signer
from tests.recognize.conftest import directions
from tests.stream.evidence.test_verify_chain import examined
from tests.stream.support.events import an_event, fill
from tests.stream.support.proof import write
from tests.unblur.support.kept import (
    BEGIN,
    ERASED,
    bytes_of,
    feedback_rows,
    open_data,
    open_data_folder,
    queued_posts,
    write_data_folder,
    write_personal_data,
)
from unblur.cli import main
from unblur.people.face_thumbnails import thumbnails_folder
from unblur.privacy.personal_data import PersonalData, open_personal_data
from unblur.privacy.retention import RetentionReport, apply_retention


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_personal_data(tmp_path)
    return tmp_path


def expired(folder: Path, now: datetime, **limits: Limit) -> RetentionReport:
    with ExitStack() as stack:
        return apply_retention(Retention(**limits), open_data(folder, stack), now)


def ids(where: object) -> list[object]:
    return [event["id"] for event in query(str(where))]


def test_without_limits_nothing_is_deleted(folder: Path) -> None:
    before = bytes_of(folder / "evidence") + (folder / "log.jsonl").read_bytes()
    assert expired(folder, BEGIN + timedelta(days=10_000)) == RetentionReport(0, 0, 0, ())
    assert bytes_of(folder / "evidence") + (folder / "log.jsonl").read_bytes() == before


def test_old_events_are_deleted_from_every_log_with_their_evidence(folder: Path) -> None:
    report = expired(folder, BEGIN + timedelta(days=1, hours=4), events=Limit(days=1))
    assert (report.entries, report.bundles) == (12, 4)
    store = f"sqlite:///{folder / 'log.sqlite'}"
    for log in (folder / "log.jsonl", folder / "log.jsonl.previous", store):
        assert ids(log) == ["event-4", "event-5", "event-6"]
    findings = examined(folder / "evidence", folder / "log.jsonl", store, key=Signer())
    assert not findings.faults


def test_old_crops_are_deleted_alone_and_the_chain_is_pruned(folder: Path) -> None:
    last = len((folder / "evidence" / CHAIN).read_bytes())
    now = datetime.now(UTC)
    assert expired(folder, now + timedelta(days=2), crops=Limit(days=3)).bundles == 0
    assert expired(folder, now + timedelta(days=4), crops=Limit(days=3)) == RetentionReport(0, 7, 0, ())
    lines = (folder / "evidence" / CHAIN).read_bytes().splitlines(keepends=True)
    assert isinstance(next(placed(lines)).link, Truncation)
    assert len(lines) == 2
    assert len(b"".join(lines)) < last
    assert len(ids(folder / "log.jsonl")) == 7
    findings = examined(folder / "evidence", folder / "log.jsonl", key=Signer())
    assert not findings.faults
    write(folder / "evidence", range(20, 22))
    assert not examined(folder / "evidence", key=Signer()).faults


def test_the_oldest_crops_are_deleted_down_to_the_size_limit(folder: Path) -> None:
    evidence = folder / "evidence"
    size = sum(path.stat().st_size for path in evidence.glob("event-[3456].*"))
    report = expired(folder, datetime.now(UTC), crops=Limit(megabytes=(size + 100) / 1e6))
    assert report.bundles == 3
    assert {path.name.partition(".")[0] for path in evidence.glob("*.json")} == {f"event-{n}" for n in (3, 4, 5, 6)}
    findings = examined(evidence, folder / "log.jsonl", key=Signer())
    assert not findings.faults
    assert any("the beginning of the chain was dropped" in note for note in findings.notes)


def test_the_oldest_events_are_deleted_down_to_the_size_limit(folder: Path) -> None:
    line = (folder / "log.jsonl").stat().st_size / 7
    expired(folder, BEGIN, events=Limit(megabytes=7 * line / 1e6))
    for log in (folder / "log.jsonl", folder / "log.jsonl.previous"):
        assert ids(log) == ["event-4", "event-5", "event-6"]


def test_freed_space_is_counted_while_a_run_writes(tmp_path: Path) -> None:
    """The store's file keeps its size then: if it were measured, more and more events would be deleted."""
    store = f"sqlite:///{tmp_path / 'log.sqlite'}"
    with closing(SqlEventStore(store)) as began:
        began.write(an_event(1, wall_time=BEGIN))
    fill(store, 1000)
    limits = Retention(events=Limit(megabytes=(tmp_path / "log.sqlite").stat().st_size / 2e6))
    with ExitStack() as stack:
        data = open_personal_data(None, [store], None, None, None, "", stack)
        entries = [apply_retention(limits, data, BEGIN, serving=True).entries for _ in range(4)]
    assert entries[0] > 400
    assert sum(entries[1:]) < 200  # from partly filled pages
    assert entries[-1] < 10


def test_an_unreadable_bundle_expires_by_its_file_time(folder: Path) -> None:
    evidence = folder / "evidence"
    (evidence / "event-0.json").unlink()
    (evidence / "event-5.json").write_bytes(b"{")
    for path in evidence.glob("event-5.*"):
        os.utime(path, (BEGIN.timestamp(), BEGIN.timestamp()))
    now = datetime.now(UTC)
    assert expired(folder, now + timedelta(days=2), crops=Limit(days=3)) == RetentionReport(0, 1, 0, ())
    assert not list(evidence.glob("event-5.*"))
    assert expired(folder, BEGIN + timedelta(days=1, hours=4), events=Limit(days=1)).entries == 12
    assert {path.name.partition(".")[0] for path in evidence.glob("event*")} == {"event-4", "event-6"}
    findings = examined(evidence, folder / "log.jsonl", key=Signer())
    assert not findings.faults


def test_a_failure_does_not_stop_the_rest(folder: Path) -> None:
    with ExitStack() as stack:
        opened = open_data(folder, stack)
        (folder / "log.jsonl").unlink()
        every = Limit(days=1)
        report = apply_retention(Retention(events=every, galleries=every), opened, BEGIN + timedelta(days=40))
    assert (report.entries, report.bundles, report.people) == (7, 7, ("Ann", "Bob", ERASED))
    (why,) = report.failed
    assert str(folder / "log.jsonl") in why
    assert not list((folder / "evidence").glob("*.png"))


def test_an_interrupted_pass_is_completed_by_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the logs are within their size limit again, the evidence of the deleted events is deleted, too."""
    limit = Limit(megabytes=7 * (folder / "log.jsonl").stat().st_size / 7 / 1e6)
    with ExitStack() as stack:
        opened = open_data(folder, stack)
        assert opened.evidence
        with monkeypatch.context() as broken:
            broken.setattr(EvidenceStore, "amend", _refused)
            assert apply_retention(Retention(events=limit), opened, BEGIN).failed == ("the disk refused",)
        assert len(ids(folder / "log.jsonl")) == 7
        with monkeypatch.context() as broken:
            broken.setattr(JsonlEventLog, "rewrite_events", _refused)
            assert apply_retention(Retention(events=limit), opened, BEGIN).failed == ("the disk refused",)
        apply_retention(Retention(events=limit), opened, BEGIN)
    assert ids(folder / "log.jsonl") == ["event-4", "event-5", "event-6"]
    remaining = {path.name.partition(".")[0] for path in (folder / "evidence").glob("*.png")}
    assert remaining <= {"event-4", "event-5", "event-6"}
    assert not examined(folder / "evidence", folder / "log.jsonl").faults


def _refused(*_: object) -> int:
    raise StorageError("the disk refused")


def test_people_enrolled_long_ago_are_deleted(folder: Path) -> None:
    report = expired(folder, BEGIN + timedelta(days=31.5), galleries=Limit(days=30))
    assert report.people == ("Ann", ERASED)
    assert load_gallery(folder / "people.joblib", fingerprint("sface")).names == ("Bob",)
    assert ERASED.encode() not in (folder / "people.joblib").read_bytes()


def test_a_change_does_not_reset_the_enrollment_time(folder: Path) -> None:
    """Also for people in a gallery without enrollment times."""
    path = folder / "people.joblib"
    Gallery(fingerprint("sface"), {"Old": Person(directions(2, 1))}).save(path)
    os.utime(path, (BEGIN.timestamp(), BEGIN.timestamp()))
    gallery_edits.enroll_person(load_gallery(path, fingerprint("sface")), "New", None, directions(2, 2)).save(path)
    assert expired(folder, datetime.now(UTC), galleries=Limit(days=1)).people == ("Old",)
    assert expired(folder, datetime.now(UTC) + timedelta(days=2), galleries=Limit(days=1)).people == ("New",)


def test_a_gallery_created_later_is_limited_too(tmp_path: Path) -> None:
    path = tmp_path / "people.joblib"
    data = PersonalData(path, [], None, None, None, fingerprint("sface"))
    limits = Retention(galleries=Limit(days=1))
    assert apply_retention(limits, data, BEGIN) == RetentionReport(0, 0, 0, ())
    assert not data.remove_people("Old")
    Gallery(fingerprint("sface"), {"Old": Person(directions(2, 1), enrolled=1.0)}).save(path)
    assert apply_retention(limits, data, BEGIN).people == ("Old",)


def test_a_gallery_that_is_too_large_loses_the_people_enrolled_first(folder: Path) -> None:
    size = (folder / "people.joblib").stat().st_size
    assert expired(folder, BEGIN, galleries=Limit(megabytes=size * 0.7 / 1e6)).people == ("Ann",)


def test_the_command_follows_the_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "unblur.yaml").write_text(
        f"recognition: {{gallery: {folder / 'people.joblib'}}}\n"
        f"output: {{events: {folder / 'log.jsonl'}, evidence: {folder / 'evidence'}}}\n"
        "retention: {events: {days: 1}, galleries: {days: 1}}\n",
        encoding="utf-8",
    )
    assert main(["forget", "--expired", "--config", str(folder / "unblur.yaml")]) == 0
    output = "expired: 14 log entries, 7 bundles, 0 opinions and unsent webhooks; from the gallery: Ann, Bob"
    assert capsys.readouterr().out == f"{output}, {ERASED}\n"
    assert not examined(folder / "evidence", folder / "log.jsonl").faults


def test_feedback_and_queued_posts_expire_with_their_events(tmp_path: Path) -> None:
    write_data_folder(tmp_path)
    with ExitStack() as stack:
        limits = Retention(events=Limit(days=1))
        report = apply_retention(limits, open_data_folder(tmp_path, stack), BEGIN + timedelta(days=1, hours=4))
    assert report == RetentionReport(4, 4, 9, ())
    assert [event for event, _, _ in feedback_rows(tmp_path)] == ["event-5", "event-5"]
    assert [event["id"] for hook, event in queued_posts(tmp_path) if hook == "door"] == [
        "event-4",
        "event-5",
        "event-6",
    ]


def test_the_crops_of_expired_people_are_deleted(tmp_path: Path) -> None:
    write_data_folder(tmp_path)
    with ExitStack() as stack:
        limits = Retention(galleries=Limit(days=30))
        report = apply_retention(limits, open_data_folder(tmp_path, stack), BEGIN + timedelta(days=31.5))
    assert report.people == ("Ann", ERASED)
    gallery = tmp_path / "people.joblib"
    crops = {path.stem for path in thumbnails_folder(gallery).iterdir()}
    assert crops == load_gallery(gallery, fingerprint("sface")).photos
