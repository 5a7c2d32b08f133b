"""What waits waits, what drops counts."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from stream.handover import Belt, Latest


@given(st.lists(st.integers(), max_size=50), st.integers(1, 5))
def test_a_belt_loses_nothing_and_keeps_order(items: list[int], capacity: int) -> None:
    belt = Belt[int](capacity)

    def give() -> None:
        with belt.closing():
            for item in items:
                belt.put(item)

    with ThreadPoolExecutor(1) as giver:
        giver.submit(give)
        assert list(belt) == items


def test_a_full_belt_lets_its_giver_go_when_cancelled() -> None:
    belt = Belt[int](1)
    with ThreadPoolExecutor(1) as giver:
        belt.put(1)
        waiting = giver.submit(belt.put, 2)
        belt.cancel()
        assert waiting.result(timeout=5) is False
    assert list(belt) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers()), max_size=60), st.integers(1, 6))
def test_the_latest_of_each_key_wins_and_every_loss_is_counted(puts: list[tuple[int, int]], capacity: int) -> None:
    slots = Latest[int, int](capacity)
    for key, item in puts:
        slots.put(key, item)
    kept = slots.take(timeout_s=0)
    assert len(kept) <= capacity
    assert len(kept) + slots.dropped == len(puts)
    if puts:
        assert kept[-1] == puts[-1][1]


def test_taking_ends_when_closed() -> None:
    slots = Latest[int, int]()
    with ThreadPoolExecutor(1) as taker:
        waiting = taker.submit(slots.take)
        slots.close()
        assert waiting.result(timeout=5) == []
    assert slots.closed
