"""What waits waits, what drops counts."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from stream.queues import BoundedQueue, LatestQueue


@given(st.lists(st.integers(), max_size=50), st.integers(1, 5))
def test_a_belt_loses_nothing_and_keeps_order(items: list[int], capacity: int) -> None:
    queue = BoundedQueue[int](capacity)

    def give() -> None:
        with queue.closing():
            for item in items:
                queue.put(item)

    with ThreadPoolExecutor(1) as giver:
        giver.submit(give)
        assert list(queue) == items


def test_a_full_belt_lets_its_giver_go_when_cancelled() -> None:
    queue = BoundedQueue[int](1)
    with ThreadPoolExecutor(1) as giver:
        queue.put(1)
        waiting = giver.submit(queue.put, 2)
        queue.abort()
        assert waiting.result(timeout=5) is False
    assert list(queue) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers()), max_size=60), st.integers(1, 6))
def test_the_latest_of_each_key_wins_and_every_loss_is_counted(puts: list[tuple[int, int]], capacity: int) -> None:
    slots = LatestQueue[int, int](capacity)
    for key, item in puts:
        slots.put(key, item)
    kept = slots.get_batch(timeout_s=0)
    assert len(kept) <= capacity
    assert len(kept) + slots.dropped == len(puts)
    assert set(kept) <= {item for _, item in puts}


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 6))
def test_the_latest_is_taken_in_the_turn_of_what_it_replaced(keys: list[int], most: int) -> None:
    slots = LatestQueue[int, tuple[int, int]]()
    for step, key in enumerate(keys):
        slots.put(key, (key, step))
    turns = list(dict.fromkeys(keys))
    assert slots.pending_keys() == set(turns)
    taken = slots.get_batch(timeout_s=0, most=most)
    assert taken == [(key, max(step for step, each in enumerate(keys) if each == key)) for key in turns[:most]]
    assert slots.pending_keys() == set(turns[most:])


def test_what_nobody_needs_is_counted() -> None:
    slots = LatestQueue[int, int]()
    slots.put(1, 1)
    slots.abort()
    slots.put(2, 2)
    assert (slots.get_batch(timeout_s=0), slots.dropped, slots.closed) == ([], 2, True)


def test_taking_ends_when_closed() -> None:
    slots = LatestQueue[int, int]()
    with ThreadPoolExecutor(1) as taker:
        waiting = taker.submit(slots.get_batch)
        slots.close()
        assert waiting.result(timeout=5) == []
    assert slots.closed
