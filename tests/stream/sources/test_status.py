"""Status of a live source, with a simulated clock."""

from __future__ import annotations

import pytest

from stream.sources.status import SourceStatusTracker

STALLED_S = 1.5


class Clock:
    now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("stream.sources.status.monotonic", lambda: clock.now)
    return clock


def running(clock: Clock, fps: float, seconds: float) -> SourceStatusTracker:
    tracker = SourceStatusTracker(STALLED_S)
    for _ in range(round(fps * seconds)):
        clock.now += 1 / fps
        tracker.record_arrival()
    return tracker


@pytest.mark.parametrize("fps", [0.8, 5, 25])
def test_the_rate_is_that_of_arrivals(clock: Clock, fps: float) -> None:
    status = running(clock, fps, 20).status(0)
    assert status.state == "live"
    assert status.fps == pytest.approx(fps, rel=0.1)


def test_a_camera_that_sends_nothing_has_no_rate(clock: Clock) -> None:
    tracker = running(clock, 25, 20)
    clock.now += STALLED_S + 0.1
    status = tracker.status(0)
    assert status.state == "stalled"
    assert status.fps == 0.0
    assert status.frame_age_s == pytest.approx(STALLED_S + 0.1)


def test_a_lost_camera_has_no_rate(clock: Clock) -> None:
    tracker = running(clock, 25, 20)
    tracker.record_loss("gone")
    assert (tracker.status(0).state, tracker.status(0).fps) == ("reconnecting", 0.0)


def test_a_camera_that_slows_down_soon_has_its_new_rate(clock: Clock) -> None:
    tracker = running(clock, 25, 20)
    for _ in range(12):
        clock.now += 1
        tracker.record_arrival()
    assert tracker.status(0).fps == pytest.approx(1, rel=0.15)
