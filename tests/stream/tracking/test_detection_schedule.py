"""When to look: by content for recordings, by content and load for live sources."""

import math

import numpy as np
import pytest

from stream.tracking.detection_schedule import IDLE_INTERVAL, LONGEST_GAP_S, SHARE, SIZES, DetectionScheduler


def looks(
    cadence: DetectionScheduler, frames: int, restless: bool = False, cost: float = 0.0, rate: float = 30
) -> list[int]:
    found = []
    for index in range(frames):
        if cadence.should_detect(restless, index / rate):
            found.append(index)
            cadence.record_duration(cost * (cadence.long_side / SIZES[0]) ** 2)
    return found


def test_a_calm_recording_is_looked_at_now_and_then() -> None:
    assert looks(DetectionScheduler(), 10) == list(range(0, 10, IDLE_INTERVAL))


@pytest.mark.parametrize("live", [False, True])
def test_where_pictures_are_rare_each_is_looked_at(live: bool) -> None:
    """A second apart, nothing carries a face from one to the next."""
    assert looks(DetectionScheduler(live), 10, rate=1) == list(range(10))
    assert looks(DetectionScheduler(live), 10, rate=5) == list(range(10))
    assert looks(DetectionScheduler(live), 12, rate=15) == list(range(0, 12, IDLE_INTERVAL))


def test_stills_are_looked_at_each_whatever_their_rate() -> None:
    assert looks(DetectionScheduler(stills=True), 10, rate=25) == list(range(10))


def test_a_restless_recording_is_looked_at_always() -> None:
    assert looks(DetectionScheduler(), 10, restless=True) == list(range(10))


def test_calm_that_turns_restless_is_looked_at_at_once() -> None:
    cadence = DetectionScheduler()
    assert [cadence.should_detect(index in (2, 3), index / 30) for index in range(7)] == [
        True,
        False,
        True,
        True,
        False,
        False,
        True,
    ]


def test_a_recording_does_not_feel_the_load() -> None:
    cadence = DetectionScheduler()
    assert looks(cadence, 100, restless=True, cost=5.0) == list(range(100))
    assert cadence.long_side == SIZES[0]


def test_a_live_source_without_load_is_seen_whole() -> None:
    cadence = DetectionScheduler(live=True)
    assert looks(cadence, 100, restless=True, cost=0.005) == list(range(100))
    assert cadence.long_side == SIZES[0]


def test_a_live_source_under_load_looks_less_often() -> None:
    """At 25 ms a look and 33 ms a frame, of which half may be used, every second frame is seen at full size."""
    cadence = DetectionScheduler(live=True)
    found = looks(cadence, 200, restless=True, cost=0.025)
    assert found[-1] - found[-2] == 2
    assert cadence.long_side == SIZES[0]


def test_a_live_source_that_falls_behind_looks_at_smaller_pictures() -> None:
    cadence = DetectionScheduler(live=True)
    found = looks(cadence, 600, restless=True, cost=0.05)
    assert cadence.long_side < SIZES[0]
    cost = 0.05 * (cadence.long_side / SIZES[0]) ** 2
    assert cost / (SHARE / 30) <= found[-1] - found[-2] <= 2


def test_a_live_source_recovers_when_the_load_goes() -> None:
    cadence = DetectionScheduler(live=True)
    looks(cadence, 600, cost=0.3)
    assert cadence.long_side == SIZES[-1]
    assert looks(cadence, 1000, restless=True, cost=0.005)[-1] == 999
    assert cadence.long_side == SIZES[0]


def test_a_steady_load_does_not_make_the_size_flap() -> None:
    for cost in (0.02, 0.035, 0.04, 0.05, 0.08, 0.12):
        cadence = DetectionScheduler(live=True)
        looks(cadence, 900, restless=True, cost=cost)
        settled = cadence.long_side
        sizes = set()
        for index in range(900, 1500):
            if cadence.should_detect(True, index / 30):
                cadence.record_duration(cost * (cadence.long_side / SIZES[0]) ** 2)
                sizes.add(cadence.long_side)
        assert sizes == {settled}, cost


def test_time_that_runs_backwards_is_endured() -> None:
    cadence = DetectionScheduler(live=True)
    looks(cadence, 50, cost=0.005)
    assert looks(cadence, 50, restless=True, cost=0.005) == list(range(50))


def test_cameras_that_share_the_cores_look_less_often_each() -> None:
    """A sixth of the share: at 10 ms a look, 33 ms a frame, 2.75 ms of them to be used, every fourth at full size."""
    alone, shared = DetectionScheduler(live=True), DetectionScheduler(live=True, part=lambda: 1 / 6)
    assert len(looks(alone, 15, restless=True, cost=0.01)) == 15
    assert np.diff(looks(shared, 15, restless=True, cost=0.01)).max() == 4


def test_whatever_the_load_somebody_who_walks_by_is_looked_at() -> None:
    cadence = DetectionScheduler(live=True, part=lambda: 1e-3)
    assert np.diff(looks(cadence, 300, restless=True, cost=9.0, rate=25)).max() == math.ceil(LONGEST_GAP_S * 25)


def test_what_following_takes_is_paid_by_fewer_looks_not_by_smaller_ones() -> None:
    """5 ms a look and 28 ms to follow what it finds, 16.7 ms of them to be used: every second frame, at full size."""
    cadence = DetectionScheduler(live=True)
    found = []
    for index in range(300):
        if cadence.should_detect(True, index / 30):
            found.append(index)
            cadence.record_duration(0.005)
            cadence.record_tracking_duration(0.028)
    assert np.diff(found)[5:].tolist() == [2] * (len(found) - 6)
    assert cadence.long_side == SIZES[0]
