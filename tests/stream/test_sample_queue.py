"""The sample queue: order, replacement, and what is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stream.load_control import OLDEST_S
from stream.results import FaceSample
from stream.sample_queue import ALIKE, SampleQueue, Waiting
from tests.stream.test_identification import make_sample


def sample(track: int, frame: int = 0, arrived_s: float | None = None) -> FaceSample:
    made = make_sample(frame, track, 1.0)
    return replace(made, moment=replace(made.moment, arrived_s=arrived_s))


def tracks(taken: Sequence[Waiting]) -> list[int]:
    return [each.track.id for each, _ in taken]


CAMERA = sample(1).track.camera


def test_each_track_is_taken_once_before_any_is_taken_twice() -> None:
    queue, taken = SampleQueue(), []
    for step in range(5):
        for track in range(20):
            queue.put(sample(track, step))
        taken += tracks(queue.take(0, 4))
    assert sorted(taken) == list(range(20))


def test_new_tracks_are_taken_first() -> None:
    queue = SampleQueue()
    for track in (1, 2):
        queue.put(sample(track))
    assert tracks(queue.take(0, 9)) == [1, 2]
    for track in (1, 2, 3):
        queue.put(sample(track, 1))
    assert tracks(queue.take(0, 9)) == [3, 1, 2]


def test_tracks_that_were_taken_often_do_not_wait_for_all_new_tracks() -> None:
    queue = SampleQueue()
    for step in range(ALIKE + 3):
        queue.put(sample(1, step))
        queue.take(0, 9)
    for step in range(ALIKE):
        queue.put(sample(2, step))
        queue.take(0, 9)
    queue.put(sample(1, 99))
    queue.put(sample(2, 99))
    assert tracks(queue.take(0, 1)) == [1]


def test_the_newest_sample_takes_the_place_of_the_previous_one() -> None:
    now = 0.0
    queue = SampleQueue(clock=lambda: now)
    queue.put(sample(1, 0))
    queue.put(sample(2, 0))
    now = 0.5
    queue.put(sample(1, 7))
    (first, second) = queue.take(0, 9)
    assert (first.sample.track.id, first.sample.moment.frame, first.since_s) == (1, 7, 0.0)
    assert second.sample.track.id == 2
    assert queue.dropped(CAMERA) == 1


def test_old_samples_are_dropped_and_counted() -> None:
    now = 100.0
    queue = SampleQueue(clock=lambda: now)
    queue.put(sample(1, arrived_s=100.0))
    queue.put(sample(2, arrived_s=100.0 + OLDEST_S))
    now += OLDEST_S + 0.1
    assert tracks(queue.take(0, 9, OLDEST_S)) == [2]
    assert (queue.dropped(CAMERA), queue.dropped("another")) == (1, 0)
    assert not queue.waiting()


def test_ended_tracks_are_forgotten() -> None:
    queue = SampleQueue()
    queue.put(sample(1))
    ((taken, _),) = queue.take(0, 9)
    queue.forget(taken.track)
    queue.put(sample(2))
    queue.put(sample(1))
    assert tracks(queue.take(0, 9)) == [2, 1]


def test_a_full_queue_drops_the_track_that_was_taken_most() -> None:
    queue = SampleQueue(capacity=2)
    queue.put(sample(1))
    queue.take(0, 9)
    for track in (1, 2, 3):
        queue.put(sample(track))
    assert tracks(queue.take(0, 9)) == [2, 3]
    assert queue.dropped(CAMERA) == 1


def test_cancelled_samples_are_counted() -> None:
    queue = SampleQueue()
    queue.put(sample(1))
    queue.cancel()
    queue.put(sample(2))
    assert queue.take(0, 9) == []
    assert queue.closed
    assert queue.dropped(CAMERA) == 2


@given(st.lists(st.one_of(st.integers(0, 9), st.none()), max_size=80))
def test_every_sample_is_taken_counted_or_waiting(steps: list[int | None]) -> None:
    """In `steps` a number puts a sample of that track, None takes three."""
    queue, taken = SampleQueue(capacity=4), 0
    for step in steps:
        if step is None:
            taken += len(queue.take(0, 3))
        else:
            queue.put(sample(step))
    assert taken + queue.dropped(CAMERA) + len(queue.waiting()) == sum(step is not None for step in steps)
