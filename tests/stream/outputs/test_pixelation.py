"""What is hidden cannot be recognised, and nothing but what is to be hidden is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from models.assets.fetch import fetch_typefaces
from stream.metrics import StageMetrics
from stream.outputs.overlay import Overlay
from stream.outputs.pixelation import CELLS, FacePixelator
from stream.outputs.renderer import FrameRenderer
from stream.outputs.text import TextRenderer
from stream.results import AnnotatedFrame, Identity
from stream.values import Box, Frame, Image, Track

ANN = Identity("Ann", 0.6, 0.4, None, 0.6, None, "none", 1.0)
UNNAMED = Identity(None, 0.2, 0.4, None, 0.2, None, "none", 1.0)


def a_track(number: int, box: Box, detected: bool = True) -> Track:
    points = np.zeros((5, 2), np.float32)
    return Track("lobby", number, box, points, (0, 0), 0.9, detected, hits=1, first_frame=0, first_pts_s=0)


@pytest.fixture
def noise() -> Image:
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


LEFT, RIGHT = Box(30, 80, 60, 70), Box(200, 90, 50, 60)


def inside(image: Image, box: Box) -> Image:
    x, y, width, height = box.rounded()
    return image[max(y, 0) : y + height, max(x, 0) : x + width]


def is_hidden(before: Image, after: Image, box: Box) -> bool:
    """As few colours as cells, where there were thousands."""
    colours = np.unique(inside(after, box).reshape(-1, 3), axis=0)
    return len(colours) <= (CELLS + 1) ** 2 and bool((inside(before, box) != inside(after, box)).mean() > 0.9)


@pytest.mark.parametrize("whom", ["unknown", "all"])
@pytest.mark.parametrize("detected", [True, False])
def test_faces_are_hidden_by_the_rule_and_the_rest_is_left(whom: str, detected: bool, noise: Image) -> None:
    mosaic = FacePixelator("all" if whom == "all" else "unknown")
    tracks = [a_track(1, LEFT, detected), a_track(2, RIGHT, detected)]
    hidden = mosaic.picture(noise, tracks, {1: ANN, 2: UNNAMED}, [])
    assert is_hidden(noise, hidden, RIGHT)
    assert is_hidden(noise, hidden, LEFT) == (whom == "all")
    if whom == "unknown":
        assert (inside(hidden, LEFT) == inside(noise, LEFT)).all()
    assert (hidden[:40] == noise[:40]).all()


def test_whoever_has_no_name_yet_is_unknown(noise: Image) -> None:
    hidden = FacePixelator("unknown").picture(noise, [a_track(1, LEFT)], {}, [RIGHT])
    assert is_hidden(noise, hidden, LEFT)
    assert is_hidden(noise, hidden, RIGHT), "a place where a face may be"


@pytest.mark.parametrize(
    "box",
    [
        Box(-30, -20, 60, 60),
        Box(300, 220, 60, 60),
        Box(500, 500, 9, 9),
        Box(-900, -900, 5000, 5000),
        Box(5, 5, 0.2, 0.2),
    ],
)
def test_a_box_may_lie_anywhere(box: Box, noise: Image) -> None:
    before = noise.copy()
    hidden = FacePixelator("all").picture(noise, [a_track(1, box)], {}, [])
    assert hidden.shape == noise.shape
    assert (noise == before).all(), "the frame itself is left as it was"
    if box.width == 60:
        assert is_hidden(noise, hidden, box)


def test_every_output_gets_the_hidden_picture(noise: Image) -> None:
    class Shown:
        def __init__(self) -> None:
            self.pictures: list[Image] = []

        def show(self, frame: Frame, image: Image) -> None:
            self.pictures += [frame.image, image]

        def wants(self, _camera: str) -> bool:
            return True

        def close(self) -> None: ...

    outputs = [Shown(), Shown()]
    overlay = Overlay(TextRenderer(fetch_typefaces()))
    composer = FrameRenderer(overlay, outputs, False, StageMetrics(), lambda _: None, FacePixelator("all"))
    frame = Frame("lobby", 0, 0, Fraction(1, 25), None, noise)
    composer(AnnotatedFrame(frame, [a_track(1, RIGHT)], {1: ANN}, tentative_boxes=[LEFT]))
    for output in outputs:
        for picture in output.pictures:
            middle = Box(RIGHT.x + 4, RIGHT.y + 4, RIGHT.width - 8, RIGHT.height - 8)
            assert is_hidden(noise, picture, middle), "within the lines of the overlay"
            assert is_hidden(noise, picture, LEFT)


def test_in_the_crop_of_somebody_known_whoever_is_beside_them_is_hidden(noise: Image) -> None:
    crop = noise[:128, :128].copy()
    unmoved = np.eye(2, 3, dtype=np.float32)
    face = Box(40, 30, 50, 60)
    shown = FacePixelator("unknown").crop(crop, unmoved, face, ANN)
    assert (inside(shown, face) == inside(crop, face)).all()
    next_to_face = Box(96, 0, 32, 128)
    assert len(np.unique(inside(shown, next_to_face).reshape(-1, 3), axis=0)) <= 3 * 8
    for mosaic, who in ((FacePixelator("unknown"), UNNAMED), (FacePixelator("all"), ANN)):
        assert len(np.unique(mosaic.crop(crop, unmoved, face, who).reshape(-1, 3), axis=0)) <= 64
