import pytest

from stream.sources import watchdog
from stream.sources.status import SourceStatusTracker
from stream.sources.watchdog import ArrivalInterval, Watchdog


class Clock:
    """Time as the test says it is."""

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


def send(dog: Watchdog, clock: Clock, count: int, every_s: float, decoded: bool = True) -> None:
    for _ in range(count):
        clock.now += every_s
        assert dog.find_problem() is None
        dog.record_packet()
        if decoded:
            dog.record_frame()


def test_a_fast_camera_is_given_up_soon(clock: Clock) -> None:
    dog = Watchdog(3.0, 30.0)
    send(dog, clock, 100, 0.04)
    clock.now += 2.9
    assert dog.find_problem() is None
    clock.now += 0.2
    assert dog.find_problem() == "no picture for 3 s"


@pytest.mark.parametrize("every_s", [4.0, 10.0, 25.0])
def test_a_slow_camera_is_given_three_of_its_intervals(clock: Clock, every_s: float) -> None:
    dog = Watchdog(3.0, 30.0)
    send(dog, clock, 5, every_s)
    assert dog.patience_s == pytest.approx(3 * every_s, rel=0.01)


def test_a_camera_that_becomes_fast_is_given_up_soon_again(clock: Clock) -> None:
    dog = Watchdog(3.0, 30.0)
    send(dog, clock, 5, 10.0)
    send(dog, clock, 10_000, 0.04)
    assert dog.patience_s == 3.0


def test_packets_without_a_picture_wait_for_a_key_frame(clock: Clock) -> None:
    dog = Watchdog(3.0, 30.0)
    send(dog, clock, 700, 0.04, decoded=False)
    clock.now += 2.5
    assert dog.find_problem() == "no picture in what it sends for 30 s"


def test_packets_of_which_no_picture_comes_any_more_are_a_fault(clock: Clock) -> None:
    dog = Watchdog(3.0, 30.0)
    send(dog, clock, 50, 0.04)
    for _ in range(80):
        clock.now += 0.04
        dog.record_packet()
    assert dog.find_problem() == "no picture in what it sends for 3 s"


def test_whoever_was_called_too_early_is_given_more_time_on_the_next_connection(clock: Clock) -> None:
    """A server that sends two pictures at once, and then one every ten seconds, is watched in the end."""
    dog = Watchdog(3.0, 30.0)
    for _connection in range(3):
        dog.reset()
        dog.record_packet()
        dog.record_packet()
        clock.now += 10.0
        if dog.find_problem() is None:
            return
    pytest.fail("it is called again for ever")


def test_our_own_waiting_is_not_the_cameras_silence(clock: Clock) -> None:
    dog = Watchdog(3.0, 30.0)
    send(dog, clock, 50, 0.04)
    clock.now += 60.0
    dog.resume()
    assert dog.find_problem() is None


def test_an_interval_fades(clock: Clock) -> None:
    interval = ArrivalInterval()
    interval.add(8.0)
    for _ in range(1500):
        interval.add(0.04)
    assert interval.longest_s == pytest.approx(8.0 / 2.718, rel=0.01)


def test_a_slow_camera_does_not_stand_still_between_its_pictures(clock: Clock) -> None:
    health = SourceStatusTracker(stalled_s=1.5)
    for _ in range(3):
        clock.now += 4.0
        health.record_arrival()
    clock.now += 4.5
    assert health.status(0).state == "live"
    clock.now += 4.5
    assert health.status(0).state == "stalled"
