"""The command's crops beside the gallery: of whom it knows, and of nobody else, whatever happens."""

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


def known(target: Path) -> Gallery:
    return load_gallery(target, fingerprint("sface"))


def crops(target: Path) -> set[str]:
    return {path.name for path in thumbnails_folder(target).iterdir()}


def of_all(gallery: Gallery) -> set[str]:
    return {f"{photo}.png" for photo in gallery.photos}


def test_who_is_enrolled_can_be_seen(album: Path, target: Path, examiner: PhotoReviewer, portraits: Path) -> None:
    enroll(Config(), album, target, strict=False)
    gallery = known(target)
    assert len(gallery.photos) == 3, "not the photo in the wrong folder"
    assert crops(target) == of_all(gallery)
    (photo,) = gallery.people["Joe Biden"].photos
    crop = examiner.check_picture("biden.jpg", read_picture(portraits / "biden.jpg")).crop
    assert crop is not None
    assert np.array_equal(read_picture(thumbnails_folder(target) / f"{photo}.png"), crop)
    assert thumbnails_folder(target).stat().st_mode & 0o777 == 0o700


def test_crops_follow_the_folder_of_photos(album: Path, target: Path) -> None:
    enroll(Config(), album, target, strict=False)
    before = known(target)
    (album / "Barack Obama" / "obama2.jpg").unlink()
    enroll(Config(), album, target, strict=False)
    after = known(target)
    assert after.people["Joe Biden"].photos == before.people["Joe Biden"].photos
    assert after.photos < before.photos
    assert crops(target) == of_all(after)


def test_an_enrolment_that_is_broken_off_leaves_nobody_at_the_next(
    album: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Gallery, "save", killed)  # the latest moment: crops are there, and nobody is known
        with pytest.raises(KeyboardInterrupt):
            enroll(Config(), album, target, strict=False)
    assert not target.exists()
    assert len(crops(target)) == 3
    shutil.rmtree(album / "Barack Obama")
    enroll(Config(), album, target, strict=False)
    assert known(target).names == ("Joe Biden",)
    assert crops(target) == of_all(known(target))


def test_where_nobody_can_be_enrolled_nothing_is_left(tmp_path: Path, target: Path) -> None:
    (tmp_path / "album" / "Wall").mkdir(parents=True)
    write_picture(tmp_path / "album" / "Wall" / "wall.png", np.full((200, 200, 3), 128, np.uint8))
    with pytest.raises(UsageError, match="nobody can be enrolled"):
        enroll(Config(), tmp_path / "album", target, strict=False)
    assert [path.name for path in tmp_path.iterdir()] == ["album"]
