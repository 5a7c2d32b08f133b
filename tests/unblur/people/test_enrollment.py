"""The crops that enrollment saves next to the gallery: exactly those of enrolled people, also after a crash."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from configs.schema import Config
from models.assets.fetch import fingerprint
from recognize.gallery.people_gallery import Gallery, load_gallery
from stream.errors import UsageError
from stream.storage.images import read_picture, write_picture
from unblur.people.enrollment import enroll
from unblur.people.face_thumbnails import thumbnails_folder
from unblur.people.photo_review import PhotoReviewer


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "people.joblib"


@pytest.fixture
def album(portraits: Path, tmp_path: Path) -> Path:
    """Two photos of Barack Obama, and one that is not his; one of Joe Biden."""
    photos = {"Barack Obama": ("obama.jpg", "obama2.jpg", "biden.jpg"), "Joe Biden": ("biden.jpg",)}
    for name, pictures in photos.items():
        (tmp_path / "album" / name).mkdir(parents=True)
        for picture in pictures:
            shutil.copy(portraits / picture, tmp_path / "album" / name)
    return tmp_path / "album"


def load_people(target: Path) -> Gallery:
    return load_gallery(target, fingerprint("sface"))


def crops(target: Path) -> set[str]:
    return {path.name for path in thumbnails_folder(target).iterdir()}


def crops_of_all(gallery: Gallery) -> set[str]:
    return {f"{photo}.png" for photo in gallery.photos}


def test_an_enrolled_person_has_a_crop(album: Path, target: Path, examiner: PhotoReviewer, portraits: Path) -> None:
    enroll(Config(), album, target, strict=False)
    gallery = load_people(target)
    assert len(gallery.photos) == 3, "not the photo in the wrong folder"
    assert crops(target) == crops_of_all(gallery)
    (photo,) = gallery.people["Joe Biden"].photos
    crop = examiner.check_picture("biden.jpg", read_picture(portraits / "biden.jpg")).crop
    assert crop is not None
    assert np.array_equal(read_picture(thumbnails_folder(target) / f"{photo}.png"), crop)
    assert thumbnails_folder(target).stat().st_mode & 0o777 == 0o700


def test_crops_follow_the_folder_of_photos(album: Path, target: Path) -> None:
    enroll(Config(), album, target, strict=False)
    before = load_people(target)
    (album / "Barack Obama" / "obama2.jpg").unlink()
    enroll(Config(), album, target, strict=False)
    after = load_people(target)
    assert after.people["Joe Biden"].photos == before.people["Joe Biden"].photos
    assert after.photos < before.photos
    assert crops(target) == crops_of_all(after)


def test_an_interrupted_enrollment_leaves_no_person_in_the_next(
    album: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Gallery, "save", killed)  # at the latest time: crops are saved, the gallery is not
        with pytest.raises(KeyboardInterrupt):
            enroll(Config(), album, target, strict=False)
    assert not target.exists()
    assert len(crops(target)) == 3
    shutil.rmtree(album / "Barack Obama")
    enroll(Config(), album, target, strict=False)
    assert load_people(target).names == ("Joe Biden",)
    assert crops(target) == crops_of_all(load_people(target))


def test_a_failed_enrollment_leaves_no_files(tmp_path: Path, target: Path) -> None:
    (tmp_path / "album" / "Wall").mkdir(parents=True)
    write_picture(tmp_path / "album" / "Wall" / "wall.png", np.full((200, 200, 3), 128, np.uint8))
    with pytest.raises(UsageError, match="nobody can be enrolled"):
        enroll(Config(), tmp_path / "album", target, strict=False)
    assert [path.name for path in tmp_path.iterdir()] == ["album"]
