"""How fast one may try again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unblur.web.auth.login_throttle import MOST, LoginThrottle


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_pauses_double_up_to_the_longest() -> None:
    clock, pauses = Clock(), []
    throttle = LoginThrottle(3, 10, clock)
    for _ in range(9):
        pauses.append(throttle.wait_s("ann"))
        clock.now_s += pauses[-1]
        throttle.count("ann")
    assert pauses == [0, 0, 0, 1, 2, 4, 8, 10, 10]
    assert throttle.wait_s("bob") == 0


def test_a_try_that_was_right_is_taken_back_and_wrong_ones_stay() -> None:
    throttle = LoginThrottle(2, 10, Clock())
    for _ in range(5):
        throttle.count("ann")
        throttle.take_back("ann")
    throttle.count("ann")
    assert throttle.wait_s("ann") == 0
    throttle.count("ann")
    throttle.count("ann")
    throttle.take_back("ann")
    assert throttle.wait_s("ann") > 0


@given(st.lists(st.sampled_from([0.0, 1.0, 30.0, 269.0, 271.0]) | st.floats(0, 1000), min_size=1, max_size=99))
def test_no_way_of_waiting_gives_more_tries_than_trying_on(pauses_s: list[float]) -> None:
    clock, free, longest_s, below_longest = Clock(), 4, 30, 5  # 1, 2, 4, 8 and 16 s
    throttle, began_s = LoginThrottle(free, longest_s, clock), clock.now_s
    for pause_s in pauses_s:
        clock.now_s += max(pause_s, throttle.wait_s("ann"))
        throttle.count("ann")
    assert len(pauses_s) <= free + below_longest + 1 + (clock.now_s - began_s) / longest_s


def test_only_so_many_are_remembered_and_the_rest_is_counted() -> None:
    throttle = LoginThrottle(1, 10, Clock())
    for number in range(MOST + 7):
        throttle.count(str(number))
    assert throttle.forgotten == 7
    assert throttle.wait_s("0") == 0
    assert throttle.wait_s(str(MOST)) > 0
