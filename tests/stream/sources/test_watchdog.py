import pytest

from stream.sources import watchdog
from stream.sources.status import SourceStatusTracker
from stream.sources.watchdog import ArrivalInterval, Watchdog


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watchdog, "monotonic", clock)
    monkeypatch.setattr("stream.sources.status.monotonic", clock)
    return clock


def send(watchdog_under_test: Watchdog, clock: Clock, count: int, every_s: float, decoded: bool = True) -> None:
    for _ in range(count):
        clock.now += every_s
        assert watchdog_under_test.find_problem() is None
        watchdog_under_test.record_packet()
        if decoded:
            watchdog_under_test.record_frame()


def test_a_fast_camera_times_out_soon(clock: Clock) -> None:
    watchdog_under_test = Watchdog(3.0, 30.0)
    send(watchdog_under_test, clock, 100, 0.04)
    clock.now += 2.9
    assert watchdog_under_test.find_problem() is None
    clock.now += 0.2
    assert watchdog_under_test.find_problem() == "no picture for 3 s"


@pytest.mark.parametrize("every_s", [4.0, 10.0, 25.0])
def test_a_slow_camera_may_be_silent_for_three_intervals(clock: Clock, every_s: float) -> None:
    watchdog_under_test = Watchdog(3.0, 30.0)
    send(watchdog_under_test, clock, 5, every_s)
    assert watchdog_under_test.patience_s == pytest.approx(3 * every_s, rel=0.01)


def test_a_camera_that_becomes_fast_times_out_soon_again(clock: Clock) -> None:
    watchdog_under_test = Watchdog(3.0, 30.0)
    send(watchdog_under_test, clock, 5, 10.0)
    send(watchdog_under_test, clock, 10_000, 0.04)
    assert watchdog_under_test.patience_s == 3.0


def test_packets_without_a_picture_wait_for_a_key_frame(clock: Clock) -> None:
    watchdog_under_test = Watchdog(3.0, 30.0)
    send(watchdog_under_test, clock, 700, 0.04, decoded=False)
    clock.now += 2.5
    assert watchdog_under_test.find_problem() == "no picture in what it sends for 30 s"


def test_packets_that_give_no_more_frames_are_a_fault(clock: Clock) -> None:
    watchdog_under_test = Watchdog(3.0, 30.0)
    send(watchdog_under_test, clock, 50, 0.04)
    for _ in range(80):
        clock.now += 0.04
        watchdog_under_test.record_packet()
    assert watchdog_under_test.find_problem() == "no picture in what it sends for 3 s"


def test_a_timeout_gives_more_time_to_the_next_connection(clock: Clock) -> None:
    """A server that sends two frames at once, and then one every ten seconds, stays connected in the end."""
    watchdog_under_test = Watchdog(3.0, 30.0)
    for _connection in range(3):
        watchdog_under_test.reset()
        watchdog_under_test.record_packet()
        watchdog_under_test.record_packet()
        clock.now += 10.0
        if watchdog_under_test.find_problem() is None:
            return
    pytest.fail("it is reconnected for ever")


def test_a_wait_of_the_program_is_no_silence(clock: Clock) -> None:
    watchdog_under_test = Watchdog(3.0, 30.0)
    send(watchdog_under_test, clock, 50, 0.04)
    clock.now += 60.0
    watchdog_under_test.resume()
    assert watchdog_under_test.find_problem() is None


def test_an_interval_decays(clock: Clock) -> None:
    interval = ArrivalInterval()
    interval.add(8.0)
    for _ in range(1500):
        interval.add(0.04)
    assert interval.longest_s == pytest.approx(8.0 / 2.718, rel=0.01)


def test_a_slow_camera_is_not_stalled_between_its_frames(clock: Clock) -> None:
    status_tracker = SourceStatusTracker(stalled_s=1.5)
    for _ in range(3):
        clock.now += 4.0
        status_tracker.record_arrival()
    clock.now += 4.5
    assert status_tracker.status(0).state == "live"
    clock.now += 4.5
    assert status_tracker.status(0).state == "stalled"
