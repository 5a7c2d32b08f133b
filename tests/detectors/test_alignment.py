"""Alignment compared with OpenCV's and with known geometry; and the quality of crops."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alignment import EYES, TEMPLATE, FivePointAligner, align, paste, quality, share_inside, similarity
from detectors.yunet import YuNet
from models.backends.selection import load
from stream.values import Array, Box, FaceDetection, Frame, Image, Track


@pytest.fixture(scope="module")
def astronaut(portraits: Path) -> Image:
    return np.asarray(cv2.imread(str(portraits / "astronaut.png")), np.uint8)


@pytest.fixture(scope="module")
def face(astronaut: Image, yunet_path: Path) -> FaceDetection:
    return YuNet(load(yunet_path)).detect(astronaut)[0]


def frame(image: Image) -> Frame:
    return Frame("lobby", 3, 3, Fraction(1, 25), None, image)


def track(landmarks: Array, velocity: tuple[float, float] = (0.0, 0.0), hits: int = 5) -> Track:
    x, y, width, height = cv2.boundingRect(landmarks)
    return Track("lobby", 1, Box(x, y, width, height), landmarks, velocity, 0.9, True, hits, 0, 0.0)


def seen(points: Array, scale: float, degrees: float, x: float, y: float) -> Array:
    """Scale points, rotate them clockwise, and shift them."""
    turn = np.radians(degrees)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(scale * points @ rotation + [x, y], np.float32)


def test_the_crop_is_opencvs(astronaut: Image, face: FaceDetection, sface_path: Path) -> None:
    """cv2.FaceRecognizerSF aligns to the same template; within the rounding of its interpolation it is the same
    view."""
    box = face.box
    found = np.array([[box.x, box.y, box.width, box.height, *face.landmarks.ravel(), 1]], np.float32)
    theirs = cv2.FaceRecognizerSF.create(str(sface_path), "").alignCrop(astronaut, found)
    ours, _ = align(astronaut, face.landmarks)
    assert np.abs(ours[8:120, 8:120].astype(int) - theirs).max() <= 1


@settings(deadline=None)
@given(
    scale=st.floats(0.05, 40),
    degrees=st.floats(-180, 180),
    x=st.floats(-500, 4000),
    y=st.floats(-500, 4000),
    side=st.integers(112, 256),
)
def test_a_turned_template_comes_back(scale: float, degrees: float, x: float, y: float, side: int) -> None:
    points = seen(TEMPLATE, scale, degrees, x, y)
    matrix = similarity(points, side)
    back = points @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back - (side - 112) / 2, TEMPLATE, atol=0.02 + 0.002 / scale)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=5, max_size=5, unique=True))
def test_no_nearby_similarity_fits_better(points: list[tuple[float, float]]) -> None:
    """Least squares: a small shift or rotation of the result never lowers the error."""
    landmarks = np.array(points, np.float32)
    if np.ptp(landmarks, axis=0).max() < 1:
        return
    matrix = similarity(landmarks, 112)
    aligned = landmarks @ matrix[:, :2].T + matrix[:, 2]
    least = np.square(aligned - TEMPLATE).sum()
    for change in [(1.01, 0, 0, 0), (0.99, 0, 0, 0), (1, 1, 0, 0), (1, -1, 0, 0), (1, 0, 0.3, 0), (1, 0, 0, -0.3)]:
        assert np.square(seen(aligned, *change) - TEMPLATE).sum() >= least - 1e-2


def test_points_that_coincide_are_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        similarity(np.full((5, 2), 7, np.float32))


def test_a_side_too_small_for_the_view_is_refused() -> None:
    with pytest.raises(ValueError, match="112"):
        FivePointAligner(96)


def test_motion_goes_through_the_crops_turn_and_scale() -> None:
    points = seen(TEMPLATE, 0.5, 90, 300, 200)
    image = np.full((500, 600, 3), 128, np.uint8)
    crop = FivePointAligner().crop(frame(image), track(points, velocity=(0.0, 10.0)))
    assert crop is not None
    assert crop.velocity == pytest.approx((20, 0), abs=0.01)
    assert (crop.camera, crop.track, crop.frame, crop.pts_s) == ("lobby", 1, 3, 0.12)


def test_one_detection_shows_no_motion(astronaut: Image, face: FaceDetection) -> None:
    crop = FivePointAligner(160).crop(frame(astronaut), track(face.landmarks, hits=1))
    assert crop is not None
    assert crop.velocity is None
    assert crop.image.shape == (160, 160, 3)


def test_a_face_half_outside_gives_no_crop(astronaut: Image, face: FaceDetection) -> None:
    aligner = FivePointAligner()
    middle = int(face.box.center[0])
    assert aligner.crop(frame(astronaut[:, :middle]), track(face.landmarks)) is None
    assert aligner.crop(frame(astronaut), track(face.landmarks + 5000)) is None


def test_share_inside_is_the_area_of_the_view_that_the_picture_covers() -> None:
    image = np.zeros((200, 100, 3), np.uint8)
    cut = np.array([[1, 0, 8 + 28], [0, 1, 8]], np.float32)
    assert share_inside(image, cut) == pytest.approx(0.75)


@pytest.mark.parametrize("scale", [2, 3, 5.5, 12])
def test_a_large_face_is_averaged_not_sampled(scale: float) -> None:
    """Stripes finer than a crop pixel become gray; sampling would leave them, or a moire, at full contrast."""
    image = np.zeros((1800, 1800, 3), np.uint8)
    image[:, ::2] = 255
    crop, _ = align(image, seen(TEMPLATE, scale, 0, 200, 200), 112)
    assert np.abs(crop.astype(int) - 127).max() <= 128 / int(scale) + 1


@pytest.mark.parametrize("scale", [0.4, 1, 2.4, 7])
def test_the_matrix_maps_frame_pixels_to_crop_pixels(scale: float) -> None:
    """A smooth ramp has at each crop pixel the value of the frame at the position that the matrix gives."""
    x, y = np.meshgrid(np.arange(1000), np.arange(1000))
    image = np.repeat(((x + y) / 2000 * 255)[..., None], 3, axis=2).astype(np.uint8)
    crop, matrix = align(image, seen(TEMPLATE, scale, 20, 80, 120))
    back = cv2.invertAffineTransform(matrix)
    for column, line in [(30, 30), (64, 64), (100, 40)]:
        place = back[:, :2] @ [column, line] + back[:, 2]
        assert crop[line, column, 0] == pytest.approx(place.sum() / 2000 * 255, abs=1.1)


def test_blur_lowers_sharpness_and_contrast_does_not(astronaut: Image, face: FaceDetection) -> None:
    crop, matrix = align(astronaut, face.landmarks)
    blurred = [np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), np.uint8) for sigma in (1.0, 2.0, 4.0)]
    values = [quality(each, face.landmarks, matrix).sharpness for each in (crop, *blurred)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 1.4 * values[1] > 1.4 * values[3]
    faint = (crop * 0.4 + 70).astype(np.uint8)
    assert quality(faint, face.landmarks, matrix).sharpness == pytest.approx(values[0], rel=0.1)


def test_a_flat_crop_is_not_sharp() -> None:
    flat = np.full((128, 128, 3), 50, np.uint8)
    assert quality(flat, TEMPLATE, similarity(TEMPLATE)).sharpness == 0


def test_small_faces_are_worth_less() -> None:
    crop = np.zeros((128, 128, 3), np.uint8)
    sizes = [quality(crop, p, similarity(p)).size for p in (seen(TEMPLATE, s, 0, 0, 0) for s in (0.25, 0.5, 1, 3))]
    assert sizes == pytest.approx([0.25, 0.5, 1, 1], rel=1e-3)


@pytest.mark.parametrize("axis", ["yaw", "pitch"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_turned_faces_are_worth_less(axis: str, sign: int) -> None:
    """The template as a relief (nose tip 0.45 eye distances before the eyes), rotated in space and projected
    orthographically."""
    relief = np.column_stack([TEMPLATE - TEMPLATE.mean(0), np.array([0, 0, 0.45, 0.05, 0.05]) * EYES])
    crop = np.zeros((128, 128, 3), np.uint8)

    def pose(degrees: float) -> float:
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        x, y, z = relief.T
        turned = (cos * x + sin * z, y) if axis == "yaw" else (x, cos * y + sin * z)
        points = np.stack(turned, 1).astype(np.float32)
        return quality(crop, points, similarity(points)).pose

    values = [pose(sign * degrees) for degrees in (0, 15, 30, 45, 60)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(1, abs=1e-3)
    assert values[-1] < 0.35


def test_an_unchanged_crop_leaves_the_picture_bit_for_bit(astronaut: Image, face: FaceDetection) -> None:
    crop, matrix = align(astronaut, face.landmarks)
    before = astronaut.copy()
    assert np.array_equal(paste(astronaut, crop, matrix), astronaut)
    assert np.array_equal(astronaut, before)


@pytest.mark.parametrize("enlarge", [0.3, 1, 4])
def test_a_paste_brings_the_face_nearer_to_the_sharp_one(astronaut: Image, face: FaceDetection, enlarge: float) -> None:
    """Paste a sharp crop into the blurred image: the center of the face is restored, the rest is unchanged."""
    sharp = np.asarray(cv2.resize(astronaut, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_AREA), np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 3 * enlarge), np.uint8)
    landmarks = face.landmarks * np.float32(enlarge)
    restored, matrix = align(sharp, landmarks)
    pasted = paste(blurred, restored, matrix)

    inside = cv2.warpAffine(np.ones((128, 128), np.uint8), cv2.invertAffineTransform(matrix), sharp.shape[1::-1]) > 0
    assert np.array_equal(pasted[~inside], blurred[~inside])
    x, y, width, height = replace(face.box, width=face.box.width * 0.8, height=face.box.height * 0.8).rounded()
    middle = np.s_[int(y * enlarge) : int((y + height) * enlarge), int(x * enlarge) : int((x + width) * enlarge)]
    error = [np.square(each[middle].astype(float) - sharp[middle]).mean() for each in (pasted, blurred)]
    assert error[0] < 0.35 * error[1]


def test_a_paste_over_the_pictures_edge(astronaut: Image, face: FaceDetection) -> None:
    half = np.ascontiguousarray(astronaut[:, : int(face.box.center[0])])
    crop, matrix = align(half, face.landmarks)
    pasted = paste(half, 255 - crop, matrix)
    assert pasted.shape == half.shape
    assert (pasted != half).any()
    assert np.array_equal(paste(half[:, :20], 255 - crop, matrix), half[:, :20])
