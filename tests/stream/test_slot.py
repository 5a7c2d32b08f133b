from threading import Thread

from stream.slot import Slot


def test_the_newest_wins_and_the_rest_is_counted() -> None:
    slot: Slot[int] = Slot()
    for value in range(5):
        slot.put(value)
    assert slot.take() == 4
    assert slot.dropped == 4


def test_taking_waits_for_a_value() -> None:
    slot: Slot[str] = Slot()
    taken: list[str | None] = []
    taker = Thread(target=lambda: taken.append(slot.take()))
    taker.start()
    slot.put("frame")
    taker.join()
    assert taken == ["frame"]
    assert slot.dropped == 0


def test_closing_lets_everybody_go() -> None:
    slot: Slot[str] = Slot()
    taken: list[str | None] = []
    takers = [Thread(target=lambda: taken.append(slot.take())) for _ in range(2)]
    for taker in takers:
        taker.start()
    slot.close()
    for taker in takers:
        taker.join()
    assert taken == [None, None]
