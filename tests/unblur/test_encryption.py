"""Encryption of gallery and crops at rest: unreadable without the key, fully usable with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from configs.loader import load
from stream.errors import UsageError
from stream.evidence.signing import Signer
from stream.storage.encryption import Cipher
from stream.storage.images import read_picture
from tests.stream.evidence.test_verify_chain import examined
from tests.unblur.support.kept import ERASED, open_data, write_personal_data
from unblur.assembly.components import Components
from unblur.cli import main
from unblur.people.face_thumbnails import thumbnails_folder
from unblur.people.gallery_service import GalleryService
from unblur.people.photo_review import PhotoReviewer
from unblur.privacy.erasure import erase

PNG = b"\x89PNG"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "unblur.key").write_bytes(Fernet.generate_key())
    (tmp_path / "unblur.yaml").write_text(f"encryption: {{key: {tmp_path / 'unblur.key'}}}\n", encoding="utf-8")
    return tmp_path / "unblur.yaml"


@pytest.fixture
def people_of() -> Iterator[Callable[[Path, Path | None], GalleryService]]:
    """Makes the gallery service of a configuration."""
    with ExitStack() as stack:

        def opened(gallery: Path, config: Path | None) -> GalleryService:
            settings = load(config, {})
            examiner = PhotoReviewer(settings, Components(settings))
            people = GalleryService(gallery, examiner, lambda _: None, lambda *_: None)
            stack.callback(people.close)
            return people

        yield opened


@pytest.fixture
def album(portraits: Path, tmp_path: Path) -> Path:
    """A person to enroll, and six pictures of them."""
    (tmp_path / "faces" / "Barack").mkdir(parents=True)
    shutil.copy(portraits / "obama.jpg", tmp_path / "faces" / "Barack")
    (tmp_path / "shown").mkdir()
    for number in range(6):
        shutil.copy(portraits / "obama2.jpg", tmp_path / "shown" / f"{number}.jpg")
    return tmp_path


def test_everything_works_with_the_key_and_nothing_without_it(
    album: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery, log, crops = (str(album / name) for name in ("people.joblib", "log.jsonl", "crops"))
    keyed = ("--config", str(config))
    assert main(["enroll", str(album / "faces"), "--gallery", gallery, *keyed]) == 0
    assert b"Barack" not in Path(gallery).read_bytes()
    outputs = ("--events", log, "--evidence", crops)
    assert main(["run", "--quiet", str(album / "shown"), "--gallery", gallery, *outputs, *keyed]) == 0
    assert '"name":"Barack"' in Path(log).read_text(encoding="utf-8")
    assert not any(path.read_bytes().startswith(b"\x89PNG") for path in Path(crops).iterdir())
    assert not examined(Path(crops), log, key=Signer()).faults, "verifying needs no key"

    event = json.loads(Path(log).read_text(encoding="utf-8").splitlines()[0])
    assert main(["events", "crops", crops, "--out", str(album / "open"), *keyed]) == 0
    assert read_picture(album / "open" / event["evidence"]).shape == (128, 128, 3)

    capsys.readouterr()
    for command in (
        ["run", str(album / "shown"), "--gallery", gallery],
        ["events", "crops", crops, "--out", str(album)],
    ):
        assert main(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "is encrypted: name the key's file in the configuration" in line
    assert not (album / "other").exists()
    (album / "unblur.key").write_bytes(Fernet.generate_key())
    assert main(["run", str(album / "shown"), "--gallery", gallery, *keyed]) == 2
    assert "encrypted with another key" in capsys.readouterr().err
    (album / "unblur.key").unlink()
    assert main(["run", str(album / "shown"), "--gallery", gallery, *keyed]) == 2
    assert "cannot read the encryption key" in capsys.readouterr().err


def test_crops_of_enrolled_photos_are_encrypted_and_readable_with_the_key(
    album: Path, config: Path, people_of: Callable[[Path, Path | None], GalleryService]
) -> None:
    gallery = album / "people.joblib"
    command = ["enroll", str(album / "faces"), "--gallery", str(gallery)]
    assert main([*command, "--config", str(config)]) == 0
    (crop,) = thumbnails_folder(gallery).iterdir()
    assert not crop.read_bytes().startswith(PNG)
    assert (people_of(gallery, config).face(crop.stem) or b"").startswith(PNG)

    crop.write_bytes(crop.read_bytes()[:-1])
    with pytest.raises(UsageError, match="is damaged, or was encrypted with another key"):
        people_of(gallery, config).face(crop.stem)


def test_plain_crops_are_read_and_encrypted_once_their_gallery_is_used_with_a_key(
    album: Path, config: Path, people_of: Callable[[Path, Path | None], GalleryService]
) -> None:
    gallery = album / "people.joblib"
    assert main(["enroll", str(album / "faces"), "--gallery", str(gallery)]) == 0
    (crop,) = thumbnails_folder(gallery).iterdir()
    plain = crop.read_bytes()
    assert people_of(gallery, None).face(crop.stem) == plain
    assert crop.read_bytes() == plain
    keyed = people_of(gallery, config)
    assert not crop.read_bytes().startswith(PNG)
    assert keyed.face(crop.stem) == plain
    with pytest.raises(UsageError, match="is encrypted: name the key's file"):
        people_of(gallery, None).face(crop.stem)


def test_a_person_can_be_erased_from_an_encrypted_gallery(config: Path, tmp_path: Path) -> None:
    cipher = Cipher(tmp_path / "unblur.key")
    write_personal_data(tmp_path, cipher)
    with ExitStack() as stack:
        assert erase(ERASED, open_data(tmp_path, stack, cipher)).known
    with ExitStack() as stack:
        people = open_data(tmp_path, stack, cipher).people()
    assert people is not None
    assert people.names == ("Ann", "Bob")


def test_the_evidence_itself_is_not_decrypted_in_place(config: Path, tmp_path: Path) -> None:
    write_personal_data(tmp_path)
    for folder, out in (("evidence", "evidence"), ("none", "out")):
        assert main(["events", "crops", str(tmp_path / folder), "--out", str(tmp_path / out)]) == 2
