"""The gallery service, with real faces and real files."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema import Config
from deblur import kernels
from recognize.gallery import people_gallery as galleries
from recognize.gallery import person
from recognize.gallery.enrollment import Enroller, EnrollmentReport
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import Person
from recognize.gallery.photo_checks import PhotoIssue
from stream.errors import ConfirmationRequiredError, GalleryError, UsageError
from stream.storage.images import read_picture
from stream.values import Image
from tests.unblur.conftest import Notes
from unblur.people.enrollment import enroll
from unblur.people.face_thumbnails import thumbnails_folder
from unblur.people.gallery_service import GalleryService
from unblur.people.photo_review import PhotoReviewer, Rejection, ReviewedPhoto, is_usable

WITHIN_S = 20.0


@pytest.fixture(scope="session")
def obama(portraits: Path, examiner: PhotoReviewer) -> list[ReviewedPhoto]:
    return [examiner.check_picture(name, read_picture(portraits / name)) for name in ("obama.jpg", "obama2.jpg")]


@pytest.fixture(scope="session")
def biden(portraits: Path, examiner: PhotoReviewer) -> ReviewedPhoto:
    return examiner.check_picture("biden.jpg", read_picture(portraits / "biden.jpg"))


@pytest.fixture(scope="session")
def blurred(portraits: Path, examiner: PhotoReviewer) -> ReviewedPhoto:
    moved = kernels.blur(read_picture(portraits / "obama3.jpg"), kernels.line(61, 0)).astype(np.uint8)
    return examiner.check_picture("moved.png", moved)


def on_disk(folder: Path, examiner: PhotoReviewer) -> Gallery:
    return galleries.load_gallery(folder / "people.joblib", examiner.fingerprint, allow_empty=True)


def until(gallery: GalleryService, names: tuple[str, ...]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while gallery.gallery.names != names:
        assert time.monotonic() < deadline, gallery.gallery.names
        time.sleep(0.02)  # interval of polling


def test_a_change_is_on_disk_in_use_and_noted(
    people: GalleryService,
    used: list[Gallery],
    notes: Notes,
    obama: list[ReviewedPhoto],
    tmp_path: Path,
    examiner: PhotoReviewer,
) -> None:
    assert people.enroll(" Barack Obama ", "44th", obama, "ann") == "Barack Obama"
    assert used[-1] is people.gallery
    there = on_disk(tmp_path, examiner).people["Barack Obama"]
    assert there.photos == people.gallery.people["Barack Obama"].photos
    assert there.description == "44th"
    assert notes == [("ann", "enrolled", "Barack Obama")]


@pytest.mark.parametrize("name", ["unknown", "\u200b", "Ann\u202e"])
def test_a_name_of_an_earlier_version_still_opens_and_can_be_changed(
    people: GalleryService, obama: list[ReviewedPhoto], tmp_path: Path, examiner: PhotoReviewer, name: str
) -> None:
    known = people.gallery.with_people(
        {name: Person(np.stack([shot.embedding for shot in obama if shot.embedding is not None]))}
    )
    with galleries.gallery_lock(tmp_path / "people.joblib"):
        known.save(tmp_path / "people.joblib")
    until(people, (name,))
    with pytest.raises(UsageError, match=r"a name is one line|nobody can be called"):
        people.rename(name, name, "ann")
    people.rename(name, "Ann", "ann")
    assert on_disk(tmp_path, examiner).names == ("Ann",)


def test_each_photo_has_a_crop_until_it_is_removed(
    people: GalleryService, obama: list[ReviewedPhoto], tmp_path: Path
) -> None:
    people.enroll("Obama", None, obama, "ann")
    first, second = people.gallery.people["Obama"].photos
    crop = obama[0].crop
    assert crop is not None
    assert np.array_equal(read_picture(thumbnails_folder(tmp_path / "people.joblib") / f"{first}.png"), crop)
    assert people.has_face(second)
    people.remove("Obama", first, "ann")
    assert people.face(first) is None
    assert (people.face(second) or b"").startswith(b"\x89PNG")
    assert [file.stem for file in thumbnails_folder(tmp_path / "people.joblib").iterdir()] == [second]
    with pytest.raises(UsageError, match="last photo of Obama"):
        people.remove("Obama", second, "ann")


@pytest.mark.parametrize("photo", ["../people", "..%2fpeople", "people.joblib", "", "\x00"])
def test_a_photo_id_cannot_be_a_path(people: GalleryService, obama: list[ReviewedPhoto], photo: str) -> None:
    people.enroll("Obama", None, obama, "ann")
    assert people.face(photo) is None


def test_a_deleted_person_leaves_no_data(
    people: GalleryService,
    obama: list[ReviewedPhoto],
    biden: ReviewedPhoto,
    tmp_path: Path,
    examiner: PhotoReviewer,
    notes: Notes,
) -> None:
    people.enroll("Obama", None, obama, "ann")
    people.enroll("Biden", None, [biden], "ann")
    people.delete("Obama", "bob")
    assert on_disk(tmp_path, examiner).names == ("Biden",)
    assert {file.stem for file in thumbnails_folder(tmp_path / "people.joblib").iterdir()} == people.gallery.photos
    people.delete("Biden", "bob")
    assert on_disk(tmp_path, examiner).names == ()
    assert not list(thumbnails_folder(tmp_path / "people.joblib").iterdir())
    assert notes[-1] == ("bob", "deleted", "Biden")


def test_a_merged_person_keeps_all_crops(people: GalleryService, obama: list[ReviewedPhoto], notes: Notes) -> None:
    people.enroll("Obama", None, obama[:1], "ann")
    people.enroll("Barack", "44th", obama[1:], "ann")
    people.merge("Barack", "Obama", "ann")
    person = people.gallery.people["Obama"]
    assert len(person.photos) == 2
    assert all(people.has_face(photo) for photo in person.photos)
    assert person.description == "44th"
    assert notes[-1] == ("ann", "merged into Obama", "Barack")


def test_unlike_people_are_merged_only_if_confirmed(
    people: GalleryService, obama: list[ReviewedPhoto], biden: ReviewedPhoto
) -> None:
    people.enroll("Obama", None, obama, "ann")
    people.enroll("Biden", None, [biden], "ann")
    with pytest.raises(ConfirmationRequiredError, match="do not look like the same person"):
        people.merge("Biden", "Obama", "ann")
    assert people.gallery.names == ("Obama", "Biden")
    people.merge("Biden", "Obama", "ann", confirmed=True)
    assert len(people.gallery.people["Obama"].photos) == 3


def test_unfit_photos_are_not_enrolled(
    people: GalleryService, obama: list[ReviewedPhoto], biden: ReviewedPhoto, blurred: ReviewedPhoto
) -> None:
    people.enroll("Biden", None, [biden], "ann")
    with pytest.raises(UsageError, match=r"blurred: over .* cannot be enrolled"):
        people.enroll("Obama", None, [*obama, blurred], "ann")
    with pytest.raises(UsageError, match=r"biden\.jpg: somebody else's: .* cannot be enrolled"):
        people.enroll("Obama", None, [*obama, biden], "ann")  # reviewed alone before, not with the others
    people.enroll("Obama", None, obama, "ann")
    for poison in (blurred, biden):
        with pytest.raises(UsageError, match="cannot be enrolled"):
            people.add("Obama", [poison], "ann")
    assert len(people.gallery.people["Obama"].photos) == 2


def test_an_invalid_change_changes_nothing(
    people: GalleryService, obama: list[ReviewedPhoto], used: list[Gallery], notes: Notes
) -> None:
    people.enroll("Obama", None, obama, "ann")
    before = len(used), list(notes)
    with pytest.raises(UsageError, match="known already"):
        people.enroll("Obama", None, obama, "ann")
    with pytest.raises(KeyError):
        people.rename("Biden", "Joe", "ann")
    with pytest.raises(UsageError, match="shows a face"):
        people.enroll("Nobody", None, [], "ann")
    assert (len(used), list(notes)) == before


def test_an_event_crop_is_added_or_rejected_with_a_reason(
    people: GalleryService, obama: list[ReviewedPhoto], biden: ReviewedPhoto
) -> None:
    people.enroll("Obama", None, obama[:1], "ann")
    people.enroll("Biden", None, [biden], "ann")
    crop = obama[1].crop
    assert crop is not None
    assert people.add_crop("Nobody", crop, "ann") == Rejection("Nobody is not known", "nobody")
    rejection = people.add_crop("Biden", crop, "ann")
    assert rejection
    assert rejection.kind == "unfit"
    assert "somebody else's" in rejection.why
    assert people.add_crop("Obama", crop, "ann") is None
    assert len(people.gallery.people["Obama"].photos) == 2
    again = people.add_crop("Obama", crop, "ann")
    assert again
    assert "near-duplicate" in again.why


def test_an_unlike_crop_is_added_only_if_confirmed(
    people: GalleryService, obama: list[ReviewedPhoto], portraits: Path, examiner: PhotoReviewer
) -> None:
    people.enroll("Obama", None, obama, "ann")
    crop = examiner.check_picture("astronaut.png", read_picture(portraits / "astronaut.png")).crop
    assert crop is not None
    rejection = people.add_crop("Obama", crop, "ann")
    assert rejection
    assert rejection.kind == "doubtful"
    assert rejection.why.startswith("unlike their other photos: ")
    assert len(people.gallery.people["Obama"].photos) == 2
    assert people.add_crop("Obama", crop, "ann", confirmed=True) is None
    assert len(people.gallery.people["Obama"].photos) == 3


def test_another_persons_face_is_rejected_even_if_confirmed(
    people: GalleryService, obama: list[ReviewedPhoto], biden: ReviewedPhoto
) -> None:
    people.enroll("Obama", None, obama[:1], "ann")
    people.enroll("Biden", None, [biden], "ann")
    crop = obama[1].crop
    assert crop is not None
    rejection = people.add_crop("Biden", crop, "ann", confirmed=True)
    assert rejection
    assert rejection.kind == "unfit"


def test_another_programs_change_is_loaded(
    people: GalleryService, obama: list[ReviewedPhoto], biden: ReviewedPhoto, tmp_path: Path, used: list[Gallery]
) -> None:
    people.enroll("Obama", None, obama, "ann")
    assert biden.embedding is not None
    changed = people.gallery.with_people({"Biden": person.Person(biden.embedding[None])})
    changed.save(tmp_path / "people.joblib")
    until(people, ("Obama", "Biden"))
    assert used[-1] is people.gallery


def test_another_programs_change_is_not_lost(
    people: GalleryService, obama: list[ReviewedPhoto], biden: ReviewedPhoto, tmp_path: Path
) -> None:
    people.close()  # only the change itself reads the file
    assert biden.embedding is not None
    changed = Gallery(people.gallery.fingerprint, {"Biden": person.Person(biden.embedding[None])})
    changed.save(tmp_path / "people.joblib")
    people.enroll("Obama", None, obama, "ann")
    assert people.gallery.names == ("Biden", "Obama")


def test_an_unreadable_file_is_not_overwritten(
    people: GalleryService, obama: list[ReviewedPhoto], tmp_path: Path
) -> None:
    people.enroll("Obama", None, obama, "ann")
    file = tmp_path / "people.joblib"
    file.write_bytes(b"something else")
    with pytest.raises(GalleryError, match="not a gallery"):
        people.rename("Obama", "Barack", "ann")
    assert file.read_bytes() == b"something else"
    assert people.gallery.names == ("Obama",)


def test_concurrent_changes_are_both_kept(
    people: GalleryService, obama: list[ReviewedPhoto], biden: ReviewedPhoto, examiner: PhotoReviewer
) -> None:
    people.enroll("Obama", None, obama, "ann")
    people.enroll("Biden", None, [biden], "ann")

    def describe(name: str) -> None:
        for number in range(10):
            people.describe(name, str(number), "ann")

    threads = [threading.Thread(target=describe, args=(name,)) for name in ("Obama", "Biden")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [people.gallery.people[name].description for name in ("Obama", "Biden")] == ["9", "9"]


def test_the_command_keeps_concurrent_changes_of_the_page(
    people: GalleryService, obama: list[ReviewedPhoto], portraits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos" / "Joe Biden"
    folder.mkdir(parents=True)
    (folder / "biden.jpg").write_bytes((portraits / "biden.jpg").read_bytes())
    enroll_all = Enroller.enroll

    def slowly(enroller: Enroller, *arguments: Any) -> EnrollmentReport:
        enrollment = enroll_all(enroller, *arguments)
        people.enroll("Obama", None, obama, "ann")
        return enrollment

    monkeypatch.setattr(Enroller, "enroll", slowly)
    enroll(Config(), folder.parent, tmp_path / "people.joblib", strict=False)
    until(people, ("Obama", "Joe Biden"))
    assert len(people.gallery.photos) == 3
    assert all(people.face(photo) for photo in people.gallery.photos)


def test_verdicts(
    examiner: PhotoReviewer, obama: list[ReviewedPhoto], biden: ReviewedPhoto, people: GalleryService, portraits: Path
) -> None:
    people.enroll("Biden", None, [biden], "ann")
    blank: Image = np.full((200, 200, 3), 128, np.uint8)
    shots = [
        *obama,
        examiner.check_picture("again.jpg", read_picture(portraits / "obama.jpg")),
        biden,
        examiner.check_picture("wall.jpg", blank),
        examiner.check_picture("letter.txt", None, "not a picture"),
        examiner.check_picture("pair.png", np.hstack([read_picture(portraits / "astronaut.png")] * 2)),
    ]
    found = [sorted(shot.findings) for shot in examiner.review(shots, None, people.gallery)]
    assert found[:6] == [
        [],
        [],
        [PhotoIssue.DUPLICATE],
        [PhotoIssue.MISLABELED],
        [PhotoIssue.NO_FACE],
        [PhotoIssue.UNREADABLE],
    ]
    assert PhotoIssue.SEVERAL in found[6]
    assert [is_usable(shot) for shot in shots] == [True, True, True, True, False, False, True]
    (same,) = examiner.review([obama[0]], "Biden", people.gallery)
    assert list(same.findings) == [PhotoIssue.UNLIKE]  # and no other person is similar
