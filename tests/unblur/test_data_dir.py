"""Erasure in a data folder of `unblur serve`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from models.assets.fetch import fingerprint
from recognize.gallery import gallery_edits
from recognize.gallery.people_gallery import load_gallery
from stream.events.query import query
from stream.evidence.signing import Signer
from stream.storage.encryption import Cipher
from tests.stream.evidence.test_verify_chain import examined
from tests.stream.support.proof import open_folder
from tests.unblur.support.kept import (
    ERASED,
    ERASED_EVENTS,
    bytes_of,
    feedback_rows,
    queued_posts,
    write_data_folder,
    write_personal_data,
)
from unblur.app_database import application_database
from unblur.cli import main
from unblur.data_dir import lock_data_folder
from unblur.people.face_thumbnails import thumbnails_folder
from unblur.web.auth.audit import Audit, AuditQuery


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_data_folder(folder)
    return folder


def crops_of(folder: Path) -> set[str]:
    return {path.stem for path in thumbnails_folder(folder / "people.joblib").iterdir()}


def test_an_erased_person_is_nowhere_in_a_data_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hers = load_gallery(folder / "people.joblib", fingerprint("sface")).people[ERASED].photos
    assert crops_of(folder) > set(hers)
    thumbnails_folder(folder / "people.joblib").joinpath(f"{hers[0]}.png.part").touch()  # a crash left it
    shutil.copy(folder / "people.joblib", folder / ".people.joblib.k1ll3d_9")  # and this
    assert main(["forget", ERASED, "--data", str(folder)]) == 0
    left = bytes_of(folder)
    assert ERASED.encode() not in left
    assert json.dumps(ERASED)[1:-1].encode() not in left
    assert not any(event.encode() in bytes_of(folder, "*.sqlite*") for event in ERASED_EVENTS)
    known = load_gallery(folder / "people.joblib", fingerprint("sface"))
    assert known.names == ("Ann", "Bob")
    assert crops_of(folder) == known.photos
    assert feedback_rows(folder) == [("event-5", "right", "Bob")]
    out = capsys.readouterr().out
    assert "the gallery's entry is gone; 5 log entries and 5 bundles are gone or were changed" in out
    assert "12 opinions and unsent webhooks are gone or were changed" in out
    store = f"sqlite:///{folder / 'events.sqlite'}"
    assert not examined(folder / "evidence", store, key=Signer()).faults


def test_a_renamed_person_is_erased_by_every_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "people.joblib"
    gallery_edits.rename_person(load_gallery(path, fingerprint("sface")), ERASED, "Zoë Wed").save(path)
    assert main(["forget", "Zoë Wed", "--data", str(folder)]) == 0
    assert ERASED.encode() not in bytes_of(folder)
    assert json.dumps(ERASED)[1:-1].encode() not in bytes_of(folder)
    assert feedback_rows(folder) == [("event-5", "right", "Bob")]
    assert f"forgotten as {ERASED}, too" in capsys.readouterr().out


def test_a_former_name_of_two_people_is_not_erased(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "people.joblib"
    known = gallery_edits.rename_person(load_gallery(path, fingerprint("sface")), "Ann", "Ann Lee")
    gallery_edits.rename_person(known, "Bob", "Ann").save(path)
    assert main(["forget", "Ann Lee", "--data", str(folder)]) == 0
    assert "- events under the name Ann, which is or was another person's, too" in capsys.readouterr().out
    assert load_gallery(path, fingerprint("sface")).names == (ERASED, "Ann")
    left = [event["id"] for event in query(f"sqlite:///{folder / 'events.sqlite'}")]
    assert left == [f"event-{number}" for number in range(7)]
    assert main(["forget", "Bob", "--data", str(folder)]) == 0
    assert "- Ann, who was called so before, and is known by this name" in capsys.readouterr().out
    left = [event["id"] for event in query(f"sqlite:///{folder / 'events.sqlite'}")]
    assert left == [f"event-{number}" for number in range(5)]
    assert load_gallery(path, fingerprint("sface")).people["Ann"].former == ()


def test_queued_webhooks_match_the_log_after_an_erasure(folder: Path) -> None:
    assert main(["forget", ERASED, "--data", str(folder)]) == 0
    logged = [event | {"evidence": None} for event in query(f"sqlite:///{folder / 'events.sqlite'}")]
    assert queued_posts(folder) == [(hook, event) for event in logged for hook in ("door", "desk")]


def test_the_audit_log_keeps_the_name_and_is_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = application_database(folder)
    audit = Audit(engine)
    audit.note("operator", "enrolled", ERASED)
    assert main(["forget", ERASED, "--data", str(folder)]) == 0
    assert [entry.about for entry in audit.entries(AuditQuery()).entries] == [ERASED]
    engine.dispose()
    assert "- the application's audit log" in capsys.readouterr().out


def test_a_configured_path_replaces_the_one_in_the_data_folder(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "events.sqlite", tmp_path / "other.sqlite")
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    (tmp_path / "unblur.yaml").write_text(f"serve: {{data: {folder}}}\noutput: {{store: '{other}'}}", encoding="utf-8")
    assert main(["forget", ERASED, "--config", str(tmp_path / "unblur.yaml")]) == 0
    assert len(list(query(other))) == 4
    assert len(list(query(f"sqlite:///{folder / 'events.sqlite'}"))) == 7
    assert ERASED.encode() not in bytes_of(folder / "evidence") + (folder / "people.joblib").read_bytes()


def test_a_named_log_is_searched_in_addition_to_the_data_folder(folder: Path, tmp_path: Path) -> None:
    write_personal_data(tmp_path)
    assert main(["forget", ERASED, "--data", str(folder), "--log", str(tmp_path / "log.jsonl")]) == 0
    assert len(list(query(str(tmp_path / "log.jsonl")))) == 4
    assert len(list(query(f"sqlite:///{folder / 'events.sqlite'}"))) == 4


def test_only_existing_parts_of_a_data_folder_are_searched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder / "evidence")
    (folder / "events.sqlite").unlink()
    (folder / "people.joblib").unlink()
    assert main(["forget", ERASED, "--data", str(folder)]) == 0
    assert not (folder / "events.sqlite").exists()
    assert {event["name"] for _, event in queued_posts(folder)} == {None, "Ann", "Bob"}
    assert main(["forget", ERASED, "--data", str(folder)]) == 2
    assert "nothing is known of" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["forget", ERASED], ["serve", "--port", "0", "--config", os.devnull]])
def test_a_data_folder_in_use_is_not_changed(
    command: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = bytes_of(folder)
    with lock_data_folder(folder):
        assert main([*command, "--data", str(folder)]) == 2
        assert "another unblur is writing there; end it" in capsys.readouterr().err
    assert bytes_of(folder) == before


def test_where_one_part_cannot_be_opened_nothing_is_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = bytes_of(folder)
    evidence = open_folder(folder / "evidence")
    assert main(["forget", ERASED, "--data", str(folder)]) == 2
    assert "another unblur is writing there; end it" in capsys.readouterr().err
    evidence.close()
    assert bytes_of(folder) == before


def test_where_the_gallery_cannot_be_read_nothing_is_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "key").write_bytes(Fernet.generate_key())
    gallery = folder / "people.joblib"
    load_gallery(gallery, fingerprint("sface")).save(gallery, Cipher(folder / "key"))
    before = bytes_of(folder)
    assert main(["forget", ERASED, "--data", str(folder)]) == 2
    assert str(gallery) in capsys.readouterr().err
    assert bytes_of(folder) == before


def test_crops_are_deleted_with_any_named_gallery(folder: Path) -> None:
    assert main(["forget", ERASED, "--gallery", str(folder / "people.joblib")]) == 0
    assert crops_of(folder) == load_gallery(folder / "people.joblib", fingerprint("sface")).photos


def test_an_invalid_database_is_reported_and_nothing_is_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "application.sqlite").write_bytes(b"no database" * 100)
    before = bytes_of(folder)
    assert main(["forget", ERASED, "--data", str(folder)]) == 2
    assert "application.sqlite: file is not a database; name another folder" in capsys.readouterr().err
    assert bytes_of(folder) == before
