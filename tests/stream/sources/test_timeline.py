from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream.sources.timing import MonotonicPts

STAMPS = st.one_of(st.none(), st.integers(-(2**40), 2**40))


@given(st.lists(st.tuples(STAMPS, st.floats(0, 100), st.booleans())))
def test_time_only_goes_forward(steps: list[tuple[int | None, float, bool]]) -> None:
    timeline = MonotonicPts(Fraction(1, 90_000))
    placed = []
    for stamp, elapsed_s, restart in steps:
        if restart:
            timeline.restart()
        placed.append(timeline.map(stamp, elapsed_s))
    assert all(later > earlier for earlier, later in pairwise(placed))


def test_good_stamps_are_kept_from_the_origin_on() -> None:
    timeline = MonotonicPts(Fraction(1, 1000), origin=500)
    assert [timeline.map(stamp, 0.04) for stamp in (500, 540, 900, 901)] == [0, 40, 400, 401]


def test_missing_stamps_follow_the_other_clock() -> None:
    timeline = MonotonicPts(Fraction(1, 1000))
    assert [timeline.map(None, 0.04) for _ in range(3)] == [0, 40, 80]


def test_a_restart_carries_the_time_that_passed() -> None:
    timeline = MonotonicPts(Fraction(1, 1000))
    timeline.map(70_000, 0)
    timeline.restart()
    assert [timeline.map(stamp, 12.5) for stamp in (0, 40)] == [12_500, 12_540]


def test_a_repeated_stamp_moves_by_a_tick_and_shifts_nothing_after_it() -> None:
    timeline = MonotonicPts(Fraction(1, 1000), origin=0)
    assert [timeline.map(stamp, 0.04) for stamp in (0, 40, 40, 80)] == [0, 40, 41, 80]


def test_a_stamp_days_ahead_begins_a_new_count() -> None:
    timeline = MonotonicPts(Fraction(1, 1000), origin=0)
    wild = 2**60
    assert [timeline.map(stamp, 0.04) for stamp in (0, wild, wild + 40)] == [0, 40, 80]


def test_a_count_that_begins_again_goes_on_from_where_it_was() -> None:
    timeline = MonotonicPts(Fraction(1, 1000), origin=0)
    assert [timeline.map(stamp, 0.04) for stamp in (5000, 5040, 0, 40)] == [5000, 5040, 5080, 5120]
