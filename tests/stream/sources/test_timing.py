from itertools import pairwise
from threading import Event
from time import monotonic

import pytest

from stream.sources import timing as module
from stream.sources.timing import Playout, RealtimePacer


def took(pace: RealtimePacer | Playout, *times: float) -> float:
    began = monotonic()
    for pts_s in times:
        pace.wait(pts_s)
    return monotonic() - began


def test_pictures_come_no_sooner_than_they_are_due() -> None:
    assert 0.2 <= took(RealtimePacer(Event()), 7.0, 7.1, 7.2) < 10


def test_a_closed_pace_waits_for_nothing() -> None:
    closed = Event()
    closed.set()
    assert took(RealtimePacer(closed), 0.0, 1000.0) < 10


class Clock(Event):
    """A clock that advances while a thread waits on it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    return clock


def play(clock: Clock, playout: Playout, arrivals: list[tuple[float, float]]) -> list[float]:
    """When each picture is shown that comes at one time with the other as its stamp, in seconds from now on."""
    began, shown = clock.now, []
    for came_s, pts_s in arrivals:
        clock.now = max(clock.now, began + came_s)
        playout.wait(pts_s)
        shown.append(clock.now - began)
    return shown


@pytest.mark.parametrize("length_s", [0.2, 1.0, 5.0])
def test_bursts_are_spread_and_the_delay_is_that_of_a_burst(clock: Clock, length_s: float) -> None:
    """25 pictures a second, which come when the burst is complete."""
    stamps = [index / 25 for index in range(1000)]
    arrivals = [((stamp // length_s + 1) * length_s, stamp) for stamp in stamps]
    shown = play(clock, Playout(clock), arrivals)
    steps = [later - earlier for earlier, later in pairwise(shown)]
    assert sum(step < 0.02 for step in steps) < 0.02 * len(steps)
    assert max(at - stamp for at, stamp in zip(shown, stamps, strict=True)) < length_s + 0.1


def test_what_was_sent_ahead_is_made_up_for(clock: Clock) -> None:
    """Three seconds of pictures at the beginning, as a server keeps them for who comes new."""
    stamps = [index / 25 for index in range(2500)]
    shown = play(clock, Playout(clock), [(max(0.0, stamp - 3.0), stamp) for stamp in stamps])
    assert shown[-1] - (stamps[-1] - 3.0) < 0.1


def test_after_a_pause_nothing_is_held_back(clock: Clock) -> None:
    stamps = [index / 25 for index in range(500)]
    arrivals = [(stamp if stamp < 4.0 else max(stamp, 9.0), stamp) for stamp in stamps]
    shown = play(clock, Playout(clock), arrivals)
    assert shown[-1] - stamps[-1] < 0.1


@pytest.mark.parametrize("jump_s", [-50_000.0, 50_000.0])
def test_a_jump_of_the_stamps_is_not_waited_for(clock: Clock, jump_s: float) -> None:
    stamps = [index / 25 + (jump_s if index > 50 else 0.0) for index in range(100)]
    shown = play(clock, Playout(clock), [(index / 25, stamp) for index, stamp in enumerate(stamps)])
    assert shown[-1] < 99 / 25 + 0.1
