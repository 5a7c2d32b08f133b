"""Who is forgotten is gone from all that is served from a folder of data."""

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
from tests.unblur.support.kept import GONE, HERS, bytes_of, keep, keep_served, said, waiting
from unblur.app_database import application_database
from unblur.cli import main
from unblur.data_dir import lock_data_folder
from unblur.people.face_thumbnails import thumbnails_folder
from unblur.web.auth.audit import Audit, Wanted


@pytest.fixture
def house(tmp_path: Path) -> Path:
    folder = tmp_path / "house"
    folder.mkdir()
    keep_served(folder)
    return folder


def crops_of(folder: Path) -> set[str]:
    return {path.stem for path in thumbnails_folder(folder / "people.joblib").iterdir()}


def test_nothing_of_a_forgotten_person_is_left_in_a_folder_of_data(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hers = load_gallery(house / "people.joblib", fingerprint("sface")).people[GONE].photos
    assert crops_of(house) > set(hers)
    thumbnails_folder(house / "people.joblib").joinpath(f"{hers[0]}.png.part").touch()  # a crash left it
    shutil.copy(house / "people.joblib", house / ".people.joblib.k1ll3d_9")  # and this
    assert main(["forget", GONE, "--data", str(house)]) == 0
    left = bytes_of(house)
    assert GONE.encode() not in left
    assert json.dumps(GONE)[1:-1].encode() not in left
    assert not any(event.encode() in bytes_of(house, "*.sqlite*") for event in HERS)
    known = load_gallery(house / "people.joblib", fingerprint("sface"))
    assert known.names == ("Ann", "Bob")
    assert crops_of(house) == known.photos
    assert said(house) == [("event-5", "right", "Bob")]
    out = capsys.readouterr().out
    assert "the gallery's entry is gone; 5 log entries and 5 bundles are gone or were changed" in out
    assert "12 opinions and unsent webhooks are gone or were changed" in out
    store = f"sqlite:///{house / 'events.sqlite'}"
    assert not examined(house / "evidence", store, key=Signer()).faults


def test_who_was_renamed_is_forgotten_by_every_name(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = house / "people.joblib"
    gallery_edits.rename_person(load_gallery(path, fingerprint("sface")), GONE, "Zoë Wed").save(path)
    assert main(["forget", "Zoë Wed", "--data", str(house)]) == 0
    assert GONE.encode() not in bytes_of(house)
    assert json.dumps(GONE)[1:-1].encode() not in bytes_of(house)
    assert said(house) == [("event-5", "right", "Bob")]
    assert f"forgotten as {GONE}, too" in capsys.readouterr().out


def test_a_former_name_that_somebody_else_bears_is_theirs(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = house / "people.joblib"
    known = gallery_edits.rename_person(load_gallery(path, fingerprint("sface")), "Ann", "Ann Lee")
    gallery_edits.rename_person(known, "Bob", "Ann").save(path)
    assert main(["forget", "Ann Lee", "--data", str(house)]) == 0
    assert "- events under the name Ann, which is or was somebody else's, too" in capsys.readouterr().out
    assert load_gallery(path, fingerprint("sface")).names == (GONE, "Ann")
    left = [event["id"] for event in query(f"sqlite:///{house / 'events.sqlite'}")]
    assert left == [f"event-{number}" for number in range(7)]
    assert main(["forget", "Bob", "--data", str(house)]) == 0
    assert "- Ann, who was called so before, and is known by this name" in capsys.readouterr().out
    left = [event["id"] for event in query(f"sqlite:///{house / 'events.sqlite'}")]
    assert left == [f"event-{number}" for number in range(5)]
    assert load_gallery(path, fingerprint("sface")).people["Ann"].former == ()


def test_what_waits_for_webhooks_is_what_the_log_has(house: Path) -> None:
    assert main(["forget", GONE, "--data", str(house)]) == 0
    logged = [event | {"evidence": None} for event in query(f"sqlite:///{house / 'events.sqlite'}")]
    assert waiting(house) == [(hook, event) for event in logged for hook in ("door", "desk")]


def test_the_audit_log_keeps_the_name_and_is_listed(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = application_database(house)
    audit = Audit(engine)
    audit.note("operator", "enrolled", GONE)
    assert main(["forget", GONE, "--data", str(house)]) == 0
    assert [entry.about for entry in audit.entries(Wanted()).entries] == [GONE]
    engine.dispose()
    assert "- the application's audit log" in capsys.readouterr().out


def test_a_place_that_is_named_stands_in_for_the_one_in_the_folder_of_data(house: Path, tmp_path: Path) -> None:
    shutil.copy(house / "events.sqlite", tmp_path / "other.sqlite")
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    (tmp_path / "unblur.yaml").write_text(f"serve: {{data: {house}}}\noutput: {{store: '{other}'}}", encoding="utf-8")
    assert main(["forget", GONE, "--config", str(tmp_path / "unblur.yaml")]) == 0
    assert len(list(query(other))) == 4
    assert len(list(query(f"sqlite:///{house / 'events.sqlite'}"))) == 7
    assert GONE.encode() not in bytes_of(house / "evidence") + (house / "people.joblib").read_bytes()


def test_a_log_that_is_named_is_searched_beside_the_folder_of_data(house: Path, tmp_path: Path) -> None:
    keep(tmp_path)
    assert main(["forget", GONE, "--data", str(house), "--log", str(tmp_path / "log.jsonl")]) == 0
    assert len(list(query(str(tmp_path / "log.jsonl")))) == 4
    assert len(list(query(f"sqlite:///{house / 'events.sqlite'}"))) == 4


def test_only_what_is_there_of_a_folder_of_data_is_searched(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(house / "evidence")
    (house / "events.sqlite").unlink()
    (house / "people.joblib").unlink()
    assert main(["forget", GONE, "--data", str(house)]) == 0
    assert not (house / "events.sqlite").exists()
    assert {event["name"] for _, event in waiting(house)} == {None, "Ann", "Bob"}
    assert main(["forget", GONE, "--data", str(house)]) == 2
    assert "nothing is known of" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["forget", GONE], ["serve", "--port", "0", "--config", os.devnull]])
def test_a_folder_of_data_that_is_served_is_left_alone(
    command: list[str], house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = bytes_of(house)
    with lock_data_folder(house):
        assert main([*command, "--data", str(house)]) == 2
        assert "another unblur is writing there; end it" in capsys.readouterr().err
    assert bytes_of(house) == before


def test_where_one_part_cannot_be_opened_nothing_is_changed(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = bytes_of(house)
    evidence = open_folder(house / "evidence")
    assert main(["forget", GONE, "--data", str(house)]) == 2
    assert "another unblur is writing there; end it" in capsys.readouterr().err
    evidence.close()
    assert bytes_of(house) == before


def test_where_the_gallery_cannot_be_read_nothing_is_changed(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (house / "key").write_bytes(Fernet.generate_key())
    gallery = house / "people.joblib"
    load_gallery(gallery, fingerprint("sface")).save(gallery, Cipher(house / "key"))
    before = bytes_of(house)
    assert main(["forget", GONE, "--data", str(house)]) == 2
    assert str(gallery) in capsys.readouterr().err
    assert bytes_of(house) == before


def test_crops_go_with_their_gallery_wherever_it_is_named(house: Path) -> None:
    assert main(["forget", GONE, "--gallery", str(house / "people.joblib")]) == 0
    assert crops_of(house) == load_gallery(house / "people.joblib", fingerprint("sface")).photos


def test_a_database_that_is_none_is_told_and_nothing_is_changed(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (house / "application.sqlite").write_bytes(b"no database" * 100)
    before = bytes_of(house)
    assert main(["forget", GONE, "--data", str(house)]) == 2
    assert "application.sqlite: file is not a database; name another folder" in capsys.readouterr().err
    assert bytes_of(house) == before
