"""When the detector runs: by content for recordings, by content and load for live sources."""

import math

import numpy as np
import pytest

from stream.tracking.detection_schedule import IDLE_INTERVAL, LONGEST_GAP_S, SHARE, SIZES, DetectionScheduler


def detections(
    scheduler: DetectionScheduler, frames: int, needs_detection: bool = False, cost: float = 0.0, rate: float = 30
) -> list[int]:
    indices = []
    for index in range(frames):
        if scheduler.should_detect(needs_detection, index / rate):
            indices.append(index)
            scheduler.record_duration(cost * (scheduler.long_side / SIZES[0]) ** 2)
    return indices


def test_detection_runs_at_intervals_on_an_idle_recording() -> None:
    assert detections(DetectionScheduler(), 10) == list(range(0, 10, IDLE_INTERVAL))


@pytest.mark.parametrize("live", [False, True])
def test_detection_runs_on_every_frame_at_low_rates(live: bool) -> None:
    """A second apart, tracking cannot connect the faces."""
    assert detections(DetectionScheduler(live), 10, rate=1) == list(range(10))
    assert detections(DetectionScheduler(live), 10, rate=5) == list(range(10))
    assert detections(DetectionScheduler(live), 12, rate=15) == list(range(0, 12, IDLE_INTERVAL))


def test_detection_runs_on_every_still() -> None:
    assert detections(DetectionScheduler(stills=True), 10, rate=25) == list(range(10))


def test_detection_runs_on_every_frame_that_needs_it() -> None:
    assert detections(DetectionScheduler(), 10, needs_detection=True) == list(range(10))


def test_detection_runs_at_once_when_needed() -> None:
    scheduler = DetectionScheduler()
    assert [scheduler.should_detect(index in (2, 3), index / 30) for index in range(7)] == [
        True,
        False,
        True,
        True,
        False,
        False,
        True,
    ]


def test_load_does_not_change_a_recording() -> None:
    scheduler = DetectionScheduler()
    assert detections(scheduler, 100, needs_detection=True, cost=5.0) == list(range(100))
    assert scheduler.long_side == SIZES[0]


def test_a_live_source_without_load_is_searched_at_every_frame_and_full_size() -> None:
    scheduler = DetectionScheduler(live=True)
    assert detections(scheduler, 100, needs_detection=True, cost=0.005) == list(range(100))
    assert scheduler.long_side == SIZES[0]


def test_a_live_source_under_load_is_searched_less_often() -> None:
    """At 25 ms a detection and 33 ms a frame, of which half may be used, every second frame is searched at full
    size."""
    scheduler = DetectionScheduler(live=True)
    indices = detections(scheduler, 200, needs_detection=True, cost=0.025)
    assert indices[-1] - indices[-2] == 2
    assert scheduler.long_side == SIZES[0]


def test_a_live_source_that_falls_behind_is_searched_at_smaller_sizes() -> None:
    scheduler = DetectionScheduler(live=True)
    indices = detections(scheduler, 600, needs_detection=True, cost=0.05)
    assert scheduler.long_side < SIZES[0]
    cost = 0.05 * (scheduler.long_side / SIZES[0]) ** 2
    assert cost / (SHARE / 30) <= indices[-1] - indices[-2] <= 2


def test_a_live_source_recovers_when_the_load_goes() -> None:
    scheduler = DetectionScheduler(live=True)
    detections(scheduler, 600, cost=0.3)
    assert scheduler.long_side == SIZES[-1]
    assert detections(scheduler, 1000, needs_detection=True, cost=0.005)[-1] == 999
    assert scheduler.long_side == SIZES[0]


def test_the_size_is_stable_under_a_constant_load() -> None:
    for cost in (0.02, 0.035, 0.04, 0.05, 0.08, 0.12):
        scheduler = DetectionScheduler(live=True)
        detections(scheduler, 900, needs_detection=True, cost=cost)
        settled = scheduler.long_side
        sizes = set()
        for index in range(900, 1500):
            if scheduler.should_detect(True, index / 30):
                scheduler.record_duration(cost * (scheduler.long_side / SIZES[0]) ** 2)
                sizes.add(scheduler.long_side)
        assert sizes == {settled}, cost


def test_time_may_run_backwards() -> None:
    scheduler = DetectionScheduler(live=True)
    detections(scheduler, 50, cost=0.005)
    assert detections(scheduler, 50, needs_detection=True, cost=0.005) == list(range(50))


def test_cameras_that_share_cores_are_searched_less_often() -> None:
    """A sixth of the share: at 10 ms a detection, 33 ms a frame, 2.75 ms of them to be used, every fourth at full
    size."""
    alone, shared = DetectionScheduler(live=True), DetectionScheduler(live=True, part=lambda: 1 / 6)
    assert len(detections(alone, 15, needs_detection=True, cost=0.01)) == 15
    assert np.diff(detections(shared, 15, needs_detection=True, cost=0.01)).max() == 4


def test_the_longest_gap_holds_under_any_load() -> None:
    scheduler = DetectionScheduler(live=True, part=lambda: 1e-3)
    assert np.diff(detections(scheduler, 300, needs_detection=True, cost=9.0, rate=25)).max() == math.ceil(
        LONGEST_GAP_S * 25
    )


def test_tracking_cost_reduces_the_rate_not_the_size() -> None:
    """5 ms a detection and 28 ms for tracking, 16.7 ms available per frame: every second frame, at full size."""
    scheduler = DetectionScheduler(live=True)
    indices = []
    for index in range(300):
        if scheduler.should_detect(True, index / 30):
            indices.append(index)
            scheduler.record_duration(0.005)
            scheduler.record_tracking_duration(0.028)
    assert np.diff(indices)[5:].tolist() == [2] * (len(indices) - 6)
    assert scheduler.long_side == SIZES[0]
