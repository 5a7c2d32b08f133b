from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur.blur_estimation import BlurEstimator
from detectors.yunet import YuNet
from recognize.embedders.sface import SFace
from recognize.gallery.enrollment import Enroller, EnrollmentReport
from recognize.gallery.people_gallery import Gallery, load_gallery
from recognize.gallery.photo_checks import CheckedPhoto, PhotoIssue
from recognize.gallery.photo_folders import Folder, scan
from stream.errors import UsageError
from stream.storage.images import read_picture
from stream.values import FaceDetection, Image
from tests.recognize.conftest import Notes, cut, softened

BLURRINESS = BlurEstimator()


def extract_face(image: Image, face: FaceDetection) -> tuple[Image, float]:
    crop = cut(image, face)
    return crop, BLURRINESS.estimate(crop).extent


@pytest.fixture
def faces(tmp_path: Path, portraits: Path) -> Path:
    """Two people with one good photo each."""
    for name, photo in (("Barack Obama", "obama2.jpg"), ("Joe Biden", "biden.jpg")):
        (tmp_path / "faces" / name).mkdir(parents=True)
        shutil.copy(portraits / photo, tmp_path / "faces" / name)
    return tmp_path / "faces"


def enroll(
    people: Sequence[Folder], yunet: YuNet, sface: SFace, *, strict: bool = False, known: Gallery | None = None
) -> tuple[EnrollmentReport, list[CheckedPhoto]]:
    enroller = Enroller(yunet, extract_face, sface, strict=strict)
    progress = Notes()
    enrollment = enroller.enroll(people, known or Gallery(sface.fingerprint), progress)
    assert progress.expected == len(progress.photos)
    return enrollment, progress.photos


def findings(enrollment: EnrollmentReport, name: str) -> dict[str, set[PhotoIssue]]:
    return {photo.path.name: set(photo.findings) for photo in enrollment.photos if photo.person == name}


def test_a_photo_in_a_subfolder_is_named_with_it(faces: Path, yunet: YuNet, sface: SFace) -> None:
    portrait = faces / "Joe Biden" / "biden.jpg"
    for year in ("2023", "2024"):
        (portrait.parent / year).mkdir()
        shutil.copy(portrait, portrait.parent / year)
    portrait.unlink()
    enrollment, _ = enroll(scan(faces).people, yunet, sface)
    first, second = (photo for photo in enrollment.photos if photo.person == "Joe Biden")
    assert (first.name, first.findings) == ("2023/biden.jpg", {})
    assert (second.name, second.findings) == ("2024/biden.jpg", {PhotoIssue.DUPLICATE: "like 2023/biden.jpg"})


def write(path: Path, image: Image) -> None:
    assert cv2.imwrite(str(path), image)


def test_good_photos_are_enrolled_without_a_word(faces: Path, portraits: Path, yunet: YuNet, sface: SFace) -> None:
    shutil.copy(portraits / "obama3.jpg", faces / "Barack Obama")
    (faces / "Barack Obama" / "about.txt").write_text("44th president\n", encoding="utf-8")
    enrollment, checked = enroll(scan(faces).people, yunet, sface)
    assert enrollment.gallery.names == ("Barack Obama", "Joe Biden")
    assert enrollment.gallery.people["Barack Obama"].embeddings.shape == (2, 128)
    assert enrollment.gallery.people["Barack Obama"].description == "44th president"
    assert [photo.path for photo in checked] == [photo.path for photo in enrollment.photos]
    assert all(not photo.findings for photo in enrollment.photos)
    assert enrollment.unusable == enrollment.unchanged == ()


def test_every_doubt_is_reported_and_strictness_refuses_it(
    faces: Path, portraits: Path, yunet: YuNet, sface: SFace
) -> None:
    folder = faces / "Barack Obama"
    obama, astronaut = read_picture(portraits / "obama.jpg"), read_picture(portraits / "astronaut.png")
    small = np.asarray(cv2.resize(obama, (512, round(512 * obama.shape[0] / obama.shape[1]))), np.uint8)
    write(folder / "blurred.png", softened(small, 9))
    write(folder / "crowd.png", np.hstack([cv2.resize(astronaut, small.shape[1::-1]), small]))
    write(folder / "nobody.png", np.full((300, 300, 3), 128, np.uint8))
    write(folder / "obama2_again.jpg", read_picture(portraits / "obama2.jpg"))
    (folder / "torn.jpg").write_bytes((portraits / "obama.jpg").read_bytes()[:20])
    shutil.copy(portraits / "biden.jpg", folder / "wrong.jpg")
    (folder / "notes.doc").write_text("not a picture")

    enrollment, _ = enroll(scan(faces).people, yunet, sface)
    issues = findings(enrollment, "Barack Obama")
    assert issues == {
        "blurred.png": {PhotoIssue.BLURRED},
        "crowd.png": {PhotoIssue.SEVERAL},
        "nobody.png": {PhotoIssue.NO_FACE},
        "obama2.jpg": set(),
        "obama2_again.jpg": {PhotoIssue.DUPLICATE},
        "torn.jpg": {PhotoIssue.UNREADABLE},
        "wrong.jpg": {PhotoIssue.MISLABELED},
    }
    assert findings(enrollment, "Joe Biden") == {"biden.jpg": set()}
    assert len(enrollment.gallery.people["Barack Obama"].embeddings) == 3, "neither the blurred one nor the wrong one"

    strict, _ = enroll(scan(faces).people, yunet, sface, strict=True)
    assert len(strict.gallery.people["Barack Obama"].embeddings) == 1
    (wrong,) = (photo for photo in strict.photos if photo.path.name == "wrong.jpg")
    assert "Joe Biden" in wrong.findings[PhotoIssue.MISLABELED]


def test_a_photo_of_a_person_enrolled_before_is_reported(
    faces: Path, portraits: Path, yunet: YuNet, sface: SFace
) -> None:
    before, _ = enroll(scan(faces).people, yunet, sface)
    shutil.rmtree(faces / "Joe Biden")
    (faces / "Impostor").mkdir()
    shutil.copy(portraits / "biden.jpg", faces / "Impostor")
    after, _ = enroll(scan(faces).people, yunet, sface, known=before.gallery)
    (photo,) = after.photos
    assert "Joe Biden" in photo.findings[PhotoIssue.OTHER_PERSON]


def test_adding_one_person_does_not_redo_the_rest(faces: Path, portraits: Path, yunet: YuNet, sface: SFace) -> None:
    before, _ = enroll(scan(faces).people, yunet, sface)
    (faces / "Eileen Collins").mkdir()
    shutil.copy(portraits / "astronaut.png", faces / "Eileen Collins")
    after, checked = enroll(scan(faces).people, yunet, sface, known=before.gallery)
    assert [photo.person for photo in checked] == ["Eileen Collins"]
    assert set(after.unchanged) == {"Barack Obama", "Joe Biden"}
    assert set(after.gallery.names) == {"Barack Obama", "Joe Biden", "Eileen Collins"}

    (faces / "Joe Biden" / "about.txt").write_text("46th president", encoding="utf-8")
    again, checked = enroll(scan(faces).people, yunet, sface, known=after.gallery)
    assert [photo.person for photo in checked] == ["Joe Biden"]
    assert again.gallery.people["Joe Biden"].description == "46th president"


def test_a_person_without_a_face_is_reported_and_the_others_enrolled(faces: Path, yunet: YuNet, sface: SFace) -> None:
    (faces / "Nobody").mkdir()
    write(faces / "Nobody" / "wall.png", np.full((300, 300, 3), 200, np.uint8))
    (faces / "Empty").mkdir()
    enrollment, _ = enroll(scan(faces).people, yunet, sface)
    assert enrollment.unusable == ("Empty", "Nobody")
    assert enrollment.gallery.names == ("Barack Obama", "Joe Biden")


def test_no_person_to_enroll_is_an_error(tmp_path: Path, yunet: YuNet, sface: SFace) -> None:
    (tmp_path / "Nobody").mkdir()
    write(tmp_path / "Nobody" / "wall.png", np.full((300, 300, 3), 200, np.uint8))
    with pytest.raises(UsageError, match="nobody can be enrolled: none of 1 photos"):
        enroll(scan(tmp_path).people, yunet, sface)


def test_names_in_any_script_go_through_enrolment_and_file(
    tmp_path: Path, portraits: Path, yunet: YuNet, sface: SFace
) -> None:
    names = ["Anna  Müller", "AC∕DC", "👩‍🚀", "מירי כהן"]
    for name, photo in zip(names, ("biden.jpg", "obama.jpg", "astronaut.png", "obama2.jpg"), strict=True):
        (tmp_path / "faces" / name).mkdir(parents=True)
        shutil.copy(portraits / photo, tmp_path / "faces" / name)
    enrollment, _ = enroll(scan(tmp_path / "faces").people, yunet, sface)
    enrollment.gallery.save(tmp_path / "G.joblib")
    assert set(load_gallery(tmp_path / "G.joblib", sface.fingerprint).names) == set(names)
