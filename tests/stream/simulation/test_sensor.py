"""The simulated camera's sensor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.simulation.cutout import Cutout, encoded, linear
from stream.simulation.scene import Occluder, Scene, WalkerPath
from stream.simulation.sensor import Sensor
from stream.values import Array, Box, Image

WIDTH, HEIGHT = 160, 90
BLACK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def card(level: float, size: int = 20, alpha: float = 1.0) -> Cutout:
    """A flat square: its light, and how much it covers."""
    light = np.full((size, size, 4), level * alpha, np.float32)
    light[..., 3] = alpha
    return Cutout(light, Box(0, 0, size, size))


def passage(cutout: Cutout, through: tuple[float, float], velocity: tuple[float, float]) -> WalkerPath:
    return WalkerPath("Somebody", True, "somebody.jpg", cutout, through, velocity)


def scene(
    *passages: WalkerPath, background: Image = BLACK, shutter: float = 0.5, noise: float = 0, seed: int = 0
) -> Scene:
    return Scene(background, passages, 10, shutter=shutter, noise=noise, seed=seed)


def test_moving_edge_is_a_ramp_of_linear_light_as_long_as_the_motion() -> None:
    """A square of 20 pixels that moves by 12 while the shutter is open is a trapezium: the box filter of its path."""
    sensor = Sensor(scene(passage(card(0.8), (80, 45), (24, 0))))
    row = linear(sensor.render_frame(0))[45, :, 0]
    positions = np.arange(WIDTH) + 0.5
    expected = 0.8 * np.clip((16 - np.abs(positions - 80)) / 12, 0, 1)
    assert np.abs(row - expected).max() < 0.02
    assert row.sum() == pytest.approx(0.8 * 20, rel=0.02), "light is neither lost nor made"
    assert row[76:84] == pytest.approx(0.8, abs=0.01), "what the square never leaves keeps its light"


def test_blur_follows_the_direction() -> None:
    picture = Sensor(scene(passage(card(1.0, 10), (80, 45), (0, 24)))).render_frame(0)
    rows, columns = (np.flatnonzero(picture[..., 0].max(axis=axis) > 8) for axis in (1, 0))
    assert len(rows) == pytest.approx(22, abs=2)
    assert len(columns) == pytest.approx(10, abs=2)


def test_what_stands_still_stays_sharp() -> None:
    background = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    picture = Sensor(scene(passage(card(0.5), (80, 45), (0, 0)), background=background)).render_frame(3)
    expected = background.copy()
    expected[35:55, 70:90] = encoded(np.full((1, 1, 3), 0.5, np.float32))
    assert np.array_equal(picture, expected)


def test_nearer_person_covers_the_farther() -> None:
    far, near = passage(card(0.2), (80, 45), (0, 0)), passage(card(0.9), (90, 45), (0, 0))
    sensor = Sensor(scene(far, near))
    assert linear(sensor.render_frame(0))[45, 85, 0] == pytest.approx(0.9, abs=0.01)
    assert sensor.hidden(0, far) == pytest.approx(0.5)
    assert sensor.hidden(0, near) == 0


def test_half_transparent_edge_mixes_linear_light() -> None:
    background = encoded(np.full((HEIGHT, WIDTH, 3), 0.1, np.float32))
    sensor = Sensor(scene(passage(card(0.9, alpha=0.5), (80, 45), (0, 0)), background=background))
    assert linear(sensor.render_frame(0))[45, 80, 0] == pytest.approx(0.5, abs=0.01)


places = st.tuples(st.integers(-10, WIDTH + 10), st.integers(-10, HEIGHT + 10))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(places, st.floats(0.1, 1)), max_size=8))
def test_any_crowd_is_exposed_as_if_painted_back_to_front(crowd: list[tuple[tuple[int, int], float]]) -> None:
    people = [passage(card(level), place, (0, 0)) for place, level in crowd]
    expected: Array = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for (x, y), level in crowd:
        expected[max(0, y - 10) : max(0, y + 10), max(0, x - 10) : max(0, x + 10)] = level
    assert np.array_equal(Sensor(scene(*people)).render_frame(0), encoded(expected))


def test_people_who_pass_each_other_are_as_if_every_moment_were_painted() -> None:
    """The reference paints 64 moments of the exposure, each back to front, and adds them up."""
    far, near = passage(card(0.3), (80, 45), (20, 0)), passage(card(0.9), (88, 50), (-12, 0))
    moments = []
    for part in range(64):
        picture = np.zeros((HEIGHT, WIDTH))
        for person, level in ((far, 0.3), (near, 0.9)):
            left, top = (round(place) for place in person.origin(0.5 * ((part + 0.5) / 64 - 0.5)))
            picture[top : top + 20, left : left + 20] = level
        moments.append(picture)
    error = linear(Sensor(scene(far, near)).render_frame(0))[..., 0] - np.mean(moments, axis=0)
    assert np.abs(error).max() < 0.06
    assert np.abs(error[35:60, 60:110]).mean() < 0.01


def test_noise_is_as_strong_as_asked_and_new_in_every_frame() -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    sensor = Sensor(scene(background=grey, noise=3))
    first, second = (sensor.render_frame(index).astype(float) - 128 for index in (0, 1))
    assert first.std() == pytest.approx(3, rel=0.05)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


def test_frames_may_be_asked_for_in_any_order() -> None:
    taken = scene(passage(card(0.7), (20, 45), (9, 1)), noise=2, seed=5)
    sensor = Sensor(taken)
    backwards = [sensor.render_frame(index) for index in reversed(range(10))][::-1]
    again = Sensor(taken)
    assert all(np.array_equal(again.render_frame(index), picture) for index, picture in enumerate(backwards))


def test_seed_changes_the_noise() -> None:
    assert not np.array_equal(
        Sensor(scene(noise=2, seed=1)).render_frame(0), Sensor(scene(noise=2, seed=2)).render_frame(0)
    )


def test_occluder_covers_everybody_and_hides_the_face() -> None:
    near = passage(card(0.9), (80, 45), (0, 0))
    board = Occluder(card(0.2, 30).light, (95, 45), (0, 0))
    sensor = Sensor(Scene(BLACK, (near,), 10, noise=0, occluders=(board,)))
    assert linear(sensor.render_frame(0))[45, 85, 0] == pytest.approx(0.2, abs=0.01)
    assert linear(sensor.render_frame(0))[45, 75, 0] == pytest.approx(0.9, abs=0.01)
    assert sensor.hidden(0, near) == pytest.approx(0.5)


def test_moving_occluder_is_smeared_like_a_person() -> None:
    person = scene(passage(card(0.8), (80, 45), (24, 0)))
    board = Scene(BLACK, (), 10, shutter=0.5, noise=0, occluders=(Occluder(card(0.8).light, (80, 45), (24, 0)),))
    assert np.array_equal(Sensor(board).render_frame(1), Sensor(person).render_frame(1))


@pytest.mark.parametrize("brightness", [0.2, 3.0])
def test_light_scales_the_whole_picture_and_is_cut_off_at_white(brightness: float) -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    lit = Scene(grey, (passage(card(0.4), (80, 45), (0, 0)),), 10, noise=0, lighting=((4, 1), (5, brightness)))
    before, after = (linear(Sensor(lit).render_frame(index))[[45, 5], [80, 5], 0] for index in (4, 5))
    assert after == pytest.approx(np.minimum(before * brightness, 1), abs=0.01)
