"""Delivery is restarted after an unexpected error."""

import threading
from contextlib import closing

import pytest

from stream import threads
from stream.threads import thread_states
from tests.stream.support.events import an_event
from unblur.notify.dispatcher import Dispatcher


def test_delivery_continues_after_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "FIRST_RETRY_S", 0.01)
    delivered: list[str] = []
    all_there = threading.Event()

    async def deliver() -> None:
        while event := await outbox.take():
            if event.id == "event-0":
                raise ZeroDivisionError("no protocol foresaw this")
            delivered.append(event.id)
            if len(delivered) == 2:
                all_there.set()

    with closing(Dispatcher("a test's outbox", deliver)) as outbox:
        for number in range(3):
            outbox.put(an_event(number))
        outbox.open()
        assert all_there.wait(20)
        (state,) = [state for state in thread_states() if state.name == "a test's outbox"]
        assert state.restarts == 1
        assert outbox.dropped == 1
    assert delivered == ["event-1", "event-2"]
