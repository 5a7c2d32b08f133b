import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.assets.fetch import fetch_typefaces
from stream.outputs.overlay import BLACK, KNOWN, RESTORING, UNDECIDED, UNKNOWN, WHITE, Label, Overlay
from stream.outputs.text import Colour, TextRenderer
from stream.results import Identity
from stream.values import Box, Frame, Image, Method

LETTERING = TextRenderer(fetch_typefaces())
NOISE: Image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
BACKGROUNDS = {"white": np.full_like(NOISE, 255), "black": np.zeros_like(NOISE), "noise": NOISE}


def a_frame(image: Image, wall_time: datetime | None = None, pts: int = 3_723_000) -> Frame:
    return Frame("lobby", 0, pts, Fraction(1, 1000), wall_time, image)


def a_face(
    x: float, y: float, name: str | None = "Eileen Collins", method: Method = "none", restoring: bool = False
) -> Label:
    return Label(Box(x, y, 80, 80), Identity(name, 0.63, 0.42, None, 0.4, None, method, 3.2), restoring)


def luminance(colour: Colour) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
    return 0.0722 * linear[0] + 0.7152 * linear[1] + 0.2126 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def areas(picture: Image, colour: Colour) -> int:
    return int((picture == colour).all(axis=2).sum())


@pytest.mark.parametrize("plate", [KNOWN, UNKNOWN, RESTORING, UNDECIDED, BLACK])
def test_letters_stand_out_from_their_plate(plate: Colour) -> None:
    assert contrast(WHITE, plate) >= 4.5


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_plate_is_the_same_on_any_picture(background: str) -> None:
    picture = Overlay(LETTERING).draw(a_frame(BACKGROUNDS[background]), [a_face(600, 300)], 15)
    reference = Overlay(LETTERING).draw(a_frame(BACKGROUNDS["black"]), [a_face(600, 300)], 15)
    plate = (reference == KNOWN).all(axis=2)
    rows, columns = np.nonzero(plate)
    area = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert plate.sum() > 1000
    assert np.array_equal(picture[area], reference[area])


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_box_stands_out_from_any_picture(background: str) -> None:
    """Along a line across the box's edge there is a dark and a bright pixel, whatever lies beneath."""
    picture = Overlay(LETTERING).draw(a_frame(BACKGROUNDS[background]), [a_face(600, 300)])
    edge = [luminance(tuple(pixel)) for pixel in picture[340, 594:607].tolist()]
    assert (max(edge) + 0.05) / (min(edge) + 0.05) >= 4.5


def test_the_frame_itself_is_left_alone() -> None:
    image = NOISE.copy()
    Overlay(LETTERING).draw(a_frame(image), [a_face(600, 300)])
    assert np.array_equal(image, NOISE)


def test_each_state_has_its_colour() -> None:
    blank = a_frame(BACKGROUNDS["white"])
    states = {
        KNOWN: a_face(600, 300),
        UNKNOWN: a_face(600, 300, None),
        RESTORING: a_face(600, 300, None, restoring=True),
    }
    for state, label in states.items():
        picture = Overlay(LETTERING).draw(blank, [label])
        assert [colour for colour in states if areas(picture, colour) > 1000] == [state]


def test_a_restored_face_is_marked_in_blue_and_named_after_its_method() -> None:
    blank = a_frame(BACKGROUNDS["white"])
    plain, cnn, lucy = (
        Overlay(LETTERING).draw(blank, [a_face(600, 300, method=m)]) for m in ("none", "cnn", "richardson-lucy")
    )
    corner = np.s_[370:384, 596:604]
    blue = plain[corner].astype(int)
    marked = cnn[corner].astype(int)
    assert (marked[..., 0] - marked[..., 1]).max() > 60 > (blue[..., 0] - blue[..., 1]).max()
    assert len({areas(plain, KNOWN), areas(cnn, KNOWN), areas(lucy, KNOWN)}) == 3


def test_a_face_that_nobody_looked_at_has_a_box_and_no_plate() -> None:
    picture = Overlay(LETTERING).draw(a_frame(BACKGROUNDS["white"]), [Label(Box(600, 300, 80, 80))])
    assert areas(picture[100:], WHITE) < areas(BACKGROUNDS["white"][100:], WHITE)
    assert not any(areas(picture, colour) for colour in (KNOWN, UNKNOWN, RESTORING, UNDECIDED))


def status(frame: Frame, fps: float | None = None) -> Image:
    return Overlay(LETTERING).draw(frame, [], fps)[:25]


def test_the_status_tells_camera_time_and_speed() -> None:
    blank = BACKGROUNDS["white"]
    wall = datetime(2026, 11, 22, 10, tzinfo=UTC)
    lines = [
        status(a_frame(blank)),
        status(a_frame(blank, pts=0)),
        status(a_frame(blank), 15),
        status(a_frame(blank), 16),
        status(a_frame(blank, wall)),
        status(Frame("yard", 0, 0, Fraction(1, 1000), None, blank)),
    ]
    assert all(not np.array_equal(one, other) for one, other in itertools.combinations(lines, 2))
    assert np.array_equal(lines[4], status(a_frame(blank, wall, pts=9)))


@pytest.fixture
def in_india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where this machine is."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_india")
@pytest.mark.parametrize("zone", [None, ZoneInfo("Asia/Kolkata")])
def test_times_are_in_the_zone_that_is_wanted(zone: ZoneInfo | None) -> None:
    """None is the machine's own."""
    frame = a_frame(BACKGROUNDS["white"], datetime(2026, 11, 22, 10, tzinfo=UTC))
    there = timezone(timedelta(hours=5, minutes=30), "IST")
    drawn = Overlay(LETTERING, zone).draw(frame, [])
    assert np.array_equal(drawn, Overlay(LETTERING, there).draw(frame, []))
    assert not np.array_equal(drawn, Overlay(LETTERING).draw(frame, []))


def plates(picture: Image) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of every plate of the known colour, found by its full first column."""
    mask = (picture == KNOWN).all(axis=2)
    height = 26
    found = []
    for y, x in np.argwhere(mask & ~np.roll(mask, 1, axis=1)):
        if y + height <= len(mask) and mask[y : y + height, x].all() and (y == 0 or not mask[y - 1, x]):
            right = x + int(np.argmin([*mask[y, x:], False]))
            found.append((int(x), int(y), int(right), int(y + height)))
    return found


@pytest.mark.parametrize(("x", "y"), [(-40, -40), (1240, -40), (-40, 680), (1240, 680), (600, 0)])
def test_a_plate_stays_inside_the_picture(x: int, y: int) -> None:
    (plate,) = plates(Overlay(LETTERING).draw(a_frame(BACKGROUNDS["white"]), [a_face(x, y)]))
    assert plate[2] - plate[0] > 150, "whole, with the score"
    assert plate[1] >= 26 or plate[0] > 150, "beside the status line"


def test_a_face_outside_the_picture_is_not_drawn() -> None:
    blank = a_frame(BACKGROUNDS["white"])
    assert np.array_equal(Overlay(LETTERING).draw(blank, [a_face(3000, 300)]), Overlay(LETTERING).draw(blank, []))


def test_plates_of_neighbours_do_not_hide_each_other() -> None:
    faces = [a_face(600 + 12 * n, 300 + 12 * n) for n in range(5)]
    found = plates(Overlay(LETTERING).draw(a_frame(BACKGROUNDS["white"]), faces))
    assert len(found) == 5
    for one, other in itertools.combinations(found, 2):
        assert min(one[2], other[2]) <= max(one[0], other[0]) or min(one[3], other[3]) <= max(one[1], other[1])


def test_letters_grow_with_the_picture() -> None:
    small, large = (
        Overlay(LETTERING).draw(a_frame(np.full((h, h * 16 // 9, 3), 255, np.uint8)), [a_face(200, 200)])
        for h in (720, 2160)
    )
    assert areas(large, KNOWN) > 6 * areas(small, KNOWN)


@settings(max_examples=80, deadline=None)
@given(
    size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    faces=st.lists(
        st.builds(
            lambda x, y, w, h, name: Label(Box(x, y, w, h), a_face(0, 0, name).identity),
            *[st.floats(-1e6, 1e6)] * 2,
            *[st.floats(0.01, 1e6)] * 2,
            st.text(max_size=60),
        ),
        max_size=4,
    ),
)
def test_any_box_on_any_picture_can_be_drawn(size: tuple[int, int], faces: list[Label]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    assert Overlay(LETTERING).draw(a_frame(image), faces, 15).shape == image.shape


def test_the_plates_kept_are_bounded() -> None:
    overlay = Overlay(LETTERING)
    for number in range(400):
        overlay.draw(a_frame(BACKGROUNDS["black"]), [a_face(600, 300, f"Person {number}")])
    assert overlay._plate.cache_info().currsize == 128
