"""Blurred and mislabeled photos in the enrolled folders do not cause names for blurred non-mated faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur import kernels
from deblur.blur_estimation import BlurEstimator, enlargement
from detectors.alignment import align
from detectors.yunet import YuNet
from recognize.embedders.sface import SFace
from recognize.gallery.calibration import threshold_for
from recognize.gallery.enrollment import Enroller, EnrollmentReport
from recognize.gallery.people_gallery import Gallery
from recognize.gallery.person import Person
from recognize.gallery.photo_checks import BLOCKING_ISSUES, PhotoIssue
from recognize.gallery.photo_folders import scan
from stream.values import Array, FaceDetection, Image
from tests.recognize.conftest import Notes, cut
from unblur.evaluate.data.archives import read

pytestmark = pytest.mark.slow
KNOWN, NON_MATED = 16, 60
BLURRINESS = BlurEstimator()


def smeared(photo: Image, rng: np.random.Generator) -> list[Image]:
    """Blur a photo as a slow shutter, camera shake and defocus do."""
    angle = rng.uniform(0, np.pi)
    blurs = (kernels.line(27 * np.cos(angle), 27 * np.sin(angle)), kernels.trajectory(27, rng), kernels.gaussian(6))
    return [kernels.add_sensor_noise(kernels.blur(photo, blur), 0.01, rng) for blur in blurs]


def extract_face(image: Image, face: FaceDetection) -> tuple[Image, float]:
    crop, matrix = align(image, face.landmarks)
    return crop, BLURRINESS.estimate(crop, enlargement(matrix)).extent


@pytest.fixture(scope="module")
def photos(shared: Path) -> dict[str, list[Image]]:
    """Photos by person, those with the most photos first."""
    found: dict[str, list[Image]] = {}
    for name, photo in read(shared / "val" / "lfw160.tar").items():
        found.setdefault(Path(name).parent.name, []).append(photo)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


@pytest.fixture(scope="module")
def enrollment(
    photos: dict[str, list[Image]], yunet: YuNet, sface: SFace, tmp_path_factory: pytest.TempPathFactory
) -> EnrollmentReport:
    """Each folder has two good photos, three blurred ones, one of another person, and a blurred one of another."""
    rng = np.random.default_rng(0)
    faces = tmp_path_factory.mktemp("faces")
    people = list(photos)[:KNOWN]
    for number, person in enumerate(people):
        first, second, third, *_ = photos[person]
        wrong, other = photos[people[(number + 1) % KNOWN]][2], photos[people[(number + 5) % KNOWN]][0]
        pictures = [first, second, *smeared(third, rng), wrong, smeared(other, rng)[0]]
        (faces / person).mkdir()
        for place, picture in enumerate(pictures):
            assert cv2.imwrite(str(faces / person / f"{place}.png"), picture)
    return Enroller(yunet, extract_face, sface).enroll(scan(faces).people, Gallery(sface.fingerprint), Notes())


@pytest.fixture(scope="module")
def non_mated(photos: dict[str, list[Image]], yunet: YuNet, sface: SFace) -> Array:
    """Embeddings of people who are not enrolled, three blurs of each, aligned by the landmarks of the sharp face."""
    rng = np.random.default_rng(1)
    crops = []
    for person in list(photos)[-NON_MATED:]:
        photo = photos[person][0]
        face = max(yunet.detect(photo), key=lambda found: found.box.area)
        crops += [cut(blurred, face) for blurred in smeared(photo, rng)]
    return sface.embed(crops)


def named(gallery: Gallery, faces: Array) -> float:
    """Return the share of raw crops that reach the threshold."""
    return float((gallery.scores(faces).max(1) >= threshold_for(len(gallery.names))).mean())


def test_blurred_non_mated_faces_do_not_match_a_gallery_of_bad_folders(
    enrollment: EnrollmentReport, non_mated: Array
) -> None:
    assert len(enrollment.gallery.names) == KNOWN, "all people are enrolled by their good photos"
    assert named(enrollment.gallery, non_mated) <= 0.02


def test_they_would_match_if_every_face_were_enrolled(enrollment: EnrollmentReport, non_mated: Array) -> None:
    every: dict[str, list[Array]] = {}
    for photo in enrollment.photos:
        if photo.embedding is not None:
            every.setdefault(photo.person, []).append(photo.embedding)
    people = {name: Person(np.stack(embeddings)) for name, embeddings in every.items()}
    assert named(Gallery(enrollment.gallery.fingerprint, people), non_mated) > 0.1


def test_what_poisons_is_found_out(enrollment: EnrollmentReport) -> None:
    bad = [photo for photo in enrollment.photos if photo.embedding is not None and photo.path.stem not in "01"]
    good = [photo for photo in enrollment.photos if photo.path.stem in "01"]
    assert np.mean([bool(BLOCKING_ISSUES & set(photo.findings)) for photo in bad]) > 0.95
    assert np.mean([bool(BLOCKING_ISSUES & set(photo.findings)) for photo in good]) < 0.05
    mixed_up = [photo for photo in bad if photo.path.stem == "5"]
    assert np.mean([PhotoIssue.MISLABELED in photo.findings for photo in mixed_up]) > 0.9
