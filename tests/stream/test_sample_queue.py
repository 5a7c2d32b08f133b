"""Who is identified first, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stream.load_control import OLDEST_S
from stream.results import FaceSample
from stream.sample_queue import ALIKE, SampleQueue, Waiting
from tests.stream.test_identification import a_look


def sample(track: int, frame: int = 0, arrived_s: float | None = None) -> FaceSample:
    look = a_look(frame, track, 1.0)
    return replace(look, moment=replace(look.moment, arrived_s=arrived_s))


def tracks(taken: Sequence[Waiting]) -> list[int]:
    return [look.track.id for look, _ in taken]


CAMERA = sample(1).track.camera


def test_everybody_is_taken_once_before_anybody_is_twice() -> None:
    queue, seen = SampleQueue(), []
    for step in range(5):
        for track in range(20):
            queue.put(sample(track, step))
        seen += tracks(queue.take(0, 4))
    assert sorted(seen) == list(range(20))


def test_who_comes_is_before_who_was_identified() -> None:
    queue = SampleQueue()
    for track in (1, 2):
        queue.put(sample(track))
    assert tracks(queue.take(0, 9)) == [1, 2]
    for track in (1, 2, 3):
        queue.put(sample(track, 1))
    assert tracks(queue.take(0, 9)) == [3, 1, 2]


def test_who_was_identified_often_does_not_wait_for_all_who_come() -> None:
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


def test_the_newest_of_a_track_takes_the_turn_of_the_one_before() -> None:
    now = 0.0
    queue = SampleQueue(clock=lambda: now)
    queue.put(sample(1, 0))
    queue.put(sample(2, 0))
    now = 0.5
    queue.put(sample(1, 7))
    (first, second) = queue.take(0, 9)
    assert (first.look.track.id, first.look.moment.frame, first.since_s) == (1, 7, 0.0)
    assert second.look.track.id == 2
    assert queue.dropped(CAMERA) == 1


def test_what_is_too_old_is_dropped_and_counted() -> None:
    now = 100.0
    queue = SampleQueue(clock=lambda: now)
    queue.put(sample(1, arrived_s=100.0))
    queue.put(sample(2, arrived_s=100.0 + OLDEST_S))
    now += OLDEST_S + 0.1
    assert tracks(queue.take(0, 9, OLDEST_S)) == [2]
    assert (queue.dropped(CAMERA), queue.dropped("another")) == (1, 0)
    assert not queue.waiting()


def test_a_track_that_has_ended_is_forgotten() -> None:
    queue = SampleQueue()
    queue.put(sample(1))
    ((look, _),) = queue.take(0, 9)
    queue.forget(look.track)
    queue.put(sample(2))
    queue.put(sample(1))
    assert tracks(queue.take(0, 9)) == [2, 1]


def test_with_too_many_tracks_who_was_identified_most_falls_out() -> None:
    queue = SampleQueue(capacity=2)
    queue.put(sample(1))
    queue.take(0, 9)
    for track in (1, 2, 3):
        queue.put(sample(track))
    assert tracks(queue.take(0, 9)) == [2, 3]
    assert queue.dropped(CAMERA) == 1


def test_what_nobody_needs_is_counted() -> None:
    queue = SampleQueue()
    queue.put(sample(1))
    queue.cancel()
    queue.put(sample(2))
    assert queue.take(0, 9) == []
    assert queue.closed
    assert queue.dropped(CAMERA) == 2


@given(st.lists(st.one_of(st.integers(0, 9), st.none()), max_size=80))
def test_nothing_is_lost_uncounted(steps: list[int | None]) -> None:
    """A number is a sample of that track, None takes three."""
    queue, taken = SampleQueue(capacity=4), 0
    for step in steps:
        if step is None:
            taken += len(queue.take(0, 3))
        else:
            queue.put(sample(step))
    assert taken + queue.dropped(CAMERA) + len(queue.waiting()) == sum(step is not None for step in steps)
