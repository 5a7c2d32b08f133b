"""Walks past the camera."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stream.simulation.cutout import Cutout
from stream.simulation.scene import Occluder, Scene, WalkerPath
from stream.values import Box

CARD = Cutout(np.ones((40, 30, 4), np.float32), Box(5, 10, 20, 24))
speeds = st.floats(-40, 40).map(lambda speed: round(speed, 2))


def passage(through: tuple[float, float], velocity: tuple[float, float], at: float = 0) -> WalkerPath:
    return WalkerPath("Somebody", True, "somebody.jpg", CARD, through, velocity, at)


def test_face_is_where_it_was_asked_to_be_and_moves() -> None:
    walk = passage((100, 50), (3, -4), at=7)
    assert walk.face(7).center == (100, 50)
    assert walk.face(9).center == (106, 42)
    assert walk.speed == 5


@given(speeds, speeds, st.floats(0, 320), st.floats(0, 240))
def test_span_is_when_the_cutout_touches_the_frame(vx: float, vy: float, x: float, y: float) -> None:
    assume(max(abs(vx), abs(vy)) > 0.5)
    walk = passage((x, y), (vx, vy))
    enters, leaves = walk.span(320, 240)
    assert enters < 0 < leaves, "it is in view when its face is"

    def inside(moment: float) -> bool:
        left, top = walk.origin(moment)
        return -30 < left < 320 and -40 < top < 240

    assert inside(enters + 0.01)
    assert inside(leaves - 0.01)
    assert not inside(enters - 0.01)
    assert not inside(leaves + 0.01)


def test_entering_sets_the_moment_of_entering() -> None:
    assert passage((50, 60), (-6, 1)).entering(12, 320, 240).span(320, 240)[0] == pytest.approx(12)


def test_scene_refuses_a_shutter_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="shutter"):
        Scene(np.zeros((2, 2, 3), np.uint8), (), 1, shutter=1.5)


def test_occluder_has_its_middle_where_it_was_asked_to_be_and_moves() -> None:
    board = Occluder(np.ones((40, 30, 4), np.float32), (100, 50), (3, -4), at=7)
    assert board.origin(7) == (85, 30)
    assert board.origin(9) == (91, 22)


def test_light_changes_evenly_from_one_moment_to_the_next_and_stays() -> None:
    scene = Scene(np.zeros((2, 2, 3), np.uint8), (), 1, lighting=((10, 1), (20, 0.2)))
    assert [scene.brightness(moment) for moment in (0, 10, 15, 20, 99)] == pytest.approx([1, 1, 0.6, 0.2, 0.2])


@pytest.mark.parametrize("lighting", [(), ((0, -0.1),), ((5, 1), (5, 0.5)), ((5, 1), (3, 0.5))])
def test_scene_refuses_a_lighting_that_cannot_be(lighting: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="lighting"):
        Scene(np.zeros((2, 2, 3), np.uint8), (), 1, lighting=lighting)
