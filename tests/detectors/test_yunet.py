"""YuNet compared with OpenCV's FaceDetectorYN, and with images of every shape."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detectors.yunet import YuNet
from models.backends.selection import NetworkSession, load
from stream.values import FaceDetection, Image

WHOLE = 1 << 20
"""A detection size without shrinking."""
PORTRAITS = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"]


@pytest.fixture(scope="module")
def session(yunet_path: Path) -> NetworkSession:
    return load(yunet_path, "onnxruntime")


def portrait(folder: Path, name: str, long_side: int = 640) -> Image:
    picture = cv2.imread(str(folder / name))
    assert picture is not None
    shrink = long_side / max(picture.shape)
    return np.asarray(cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)


def crowd(folder: Path) -> Image:
    """Five faces of different sizes in one 1280 x 720 picture."""
    picture = np.full((720, 1280, 3), 90, np.uint8)
    for position, name in enumerate(PORTRAITS):
        face = portrait(folder, name, 200 + 60 * position)
        picture[100 : 100 + face.shape[0], position * 240 : position * 240 + min(240, face.shape[1])] = face[:, :240]
    return picture


def row(face: FaceDetection) -> list[float]:
    box = face.box
    return [box.x, box.y, box.width, box.height, *face.landmarks.ravel().tolist(), face.confidence]


def opencv(path: Path, picture: Image, min_confidence: float) -> list[list[float]]:
    height, width = picture.shape[:2]
    reference = cv2.FaceDetectorYN.create(str(path), "", (width, height), min_confidence, 0.3)
    faces = reference.detect(picture)[1]
    return [[float(value) for value in found] for found in faces]


@pytest.mark.parametrize("name", PORTRAITS)
def test_a_portrait_gives_what_opencv_gives(
    session: NetworkSession, yunet_path: Path, portraits: Path, name: str
) -> None:
    picture = portrait(portraits, name)
    (face,) = YuNet(session, long_side=WHOLE).detect(picture)
    np.testing.assert_allclose([row(face)], opencv(yunet_path, picture, 0.7), atol=0.01)


def test_several_faces_come_best_first_as_from_opencv(
    session: NetworkSession, yunet_path: Path, portraits: Path
) -> None:
    picture = crowd(portraits)
    faces = YuNet(session, long_side=WHOLE, min_confidence=0.3).detect(picture)
    assert len(faces) >= 5
    assert [face.confidence for face in faces] == sorted((face.confidence for face in faces), reverse=True)
    np.testing.assert_allclose([row(face) for face in faces], opencv(yunet_path, picture, 0.3), atol=0.01)


@pytest.mark.parametrize("long_side", [960, 480, 333])
def test_a_smaller_detection_size_reports_in_the_pictures_own_pixels(
    session: NetworkSession, portraits: Path, long_side: int
) -> None:
    picture = portrait(portraits, "astronaut.png", 1280)
    detector = YuNet(session, long_side=WHOLE)
    (whole,) = detector.detect(picture)
    detector.long_side = long_side
    (small,) = detector.detect(picture)
    eyes = float(np.linalg.norm(whole.landmarks[1] - whole.landmarks[0]))
    assert np.abs(small.landmarks - whole.landmarks).max() < 0.15 * eyes
    np.testing.assert_allclose(row(small)[:4], row(whole)[:4], atol=0.25 * eyes)


def test_the_points_are_in_the_order_of_the_picture(session: NetworkSession, portraits: Path) -> None:
    (face,) = YuNet(session).detect(portrait(portraits, "obama.jpg"))
    eye, other_eye, nose, mouth, other_mouth = face.landmarks
    assert eye[0] < nose[0] < other_eye[0]
    assert mouth[0] < other_mouth[0]
    assert max(eye[1], other_eye[1]) < nose[1] < min(mouth[1], other_mouth[1])


def test_confidence_and_overlap_are_the_callers_choice(session: NetworkSession, portraits: Path) -> None:
    picture = crowd(portraits)
    assert YuNet(session, min_confidence=0.99).detect(picture) == []
    all_cells = YuNet(session, max_overlap=0.99).detect(picture)
    assert len(all_cells) > len(YuNet(session).detect(picture)) >= 5


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (33, 31), (4320, 7680)])
def test_pictures_of_any_shape(session: NetworkSession, shape: tuple[int, int]) -> None:
    assert YuNet(session).detect(np.zeros((*shape, 3), np.uint8)) == []


def test_a_face_in_an_8k_picture(session: NetworkSession, portraits: Path) -> None:
    face = portrait(portraits, "astronaut.png", 1600)
    picture = np.zeros((4320, 7680, 3), np.uint8)
    picture[2000 : 2000 + face.shape[0], 5000 : 5000 + face.shape[1]] = face
    (found,) = YuNet(session).detect(picture)
    (alone,) = YuNet(session).detect(face)
    assert np.abs(found.landmarks - [5000, 2000] - alone.landmarks).max() < 40


@settings(max_examples=15, deadline=None)
@given(picture=arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90), st.just(3))))
def test_noise_gives_valid_faces_or_none(session: NetworkSession, picture: Image) -> None:
    for face in YuNet(session, min_confidence=0.05).detect(picture):
        assert face.confidence >= 0.05
        assert np.isfinite(face.landmarks).all()
