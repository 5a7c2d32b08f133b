from threading import Event
from time import monotonic

from stream.pace import Pace, Playout


def took(pace: Pace | Playout, *times: float) -> float:
    began = monotonic()
    for pts_s in times:
        pace.wait(pts_s)
    return monotonic() - began


def test_pictures_come_no_sooner_than_they_are_due() -> None:
    assert 0.2 <= took(Pace(Event()), 7.0, 7.1, 7.2) < 1.0


def test_a_closed_pace_waits_for_nothing() -> None:
    closed = Event()
    closed.set()
    assert took(Pace(closed), 0.0, 1000.0) < 1.0


def test_jumps_in_the_time_stamps_set_the_clock_anew() -> None:
    assert 0.15 <= took(Playout(Event()), 50.0, 5000.0, 5000.1, 3.0, 3.1) < 1.0
