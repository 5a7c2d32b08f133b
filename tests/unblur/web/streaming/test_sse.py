"""Events over HTTP, as they are written."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2 as httpx
import pytest

from configs.schema import Web
from stream.events.event_store import SqlEventStore
from stream.events.pagination import EventPager
from stream.events.query import EventFilter
from stream.sources.live import LiveSource
from stream.sources.stream_spec import StreamSpec
from tests.stream.support.events import an_event
from tests.unblur.web.support.serving import opened
from unblur.web.pages.live import LiveView
from unblur.web.streaming.sse import KEPT

STREAM = "/api/v1/events/stream"
WITHIN_S = 20


@pytest.fixture
def served() -> Iterator[LiveView]:
    watching = opened(Web(port=0), [LiveSource(StreamSpec("rtsp://127.0.0.1:1/none"), "lobby")])
    yield watching
    watching.close()


class Listener:
    """Listens on a thread of its own."""

    def __init__(self, address: str, after: str | None = None) -> None:
        self._url = address + STREAM
        self._headers = {"Last-Event-ID": after} if after else {}
        self.events: list[dict[str, object]] = []
        self.ids: list[str] = []
        self._more = threading.Condition()
        self._connected = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self._connected.wait(WITHIN_S)

    def _run(self) -> None:
        with httpx.stream("GET", self._url, headers=self._headers, timeout=WITHIN_S) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            self._connected.set()
            for line in answer.iter_lines():
                key, _, value = line.partition(": ")
                with self._more:
                    if key == "id":
                        self.ids.append(value)
                    if key == "data":
                        self.events.append(json.loads(value))
                    self._more.notify_all()

    def until(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.events) >= count, WITHIN_S)


def test_events_are_told_as_they_are_written(served: LiveView) -> None:
    listener = Listener(served.address)
    for number in range(3):
        served.announcer.write(an_event(number))
        listener.until(number + 1)
    assert listener.events == [an_event(number).to_json() for number in range(3)]
    served.announcer.close()
    listener.thread.join(WITHIN_S)
    assert not listener.thread.is_alive()


def test_who_comes_late_is_told_the_latest_and_who_comes_back_what_was_missed(served: LiveView) -> None:
    for number in range(KEPT + 10):
        served.announcer.write(an_event(number))
    late = Listener(served.address)
    late.until(KEPT)
    assert late.ids == [f"event-{number}" for number in range(10, KEPT + 10)]
    back = Listener(served.address, after=f"event-{KEPT + 7}")
    back.until(2)
    served.announcer.write(an_event(999))
    for listener, count in ((late, KEPT + 1), (back, 3)):
        listener.until(count)
        assert listener.ids[-1] == "event-999"
        assert len(listener.ids) == len(set(listener.ids)) == count
    served.announcer.close()
    for listener in (late, back):
        listener.thread.join(WITHIN_S)


def test_what_was_logged_before_is_told_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.sqlite"
    store = SqlEventStore(url)
    for number in range(3):
        store.write(an_event(number, wall_time=datetime(2026, 11, 22, 10, number, tzinfo=UTC)))
    store.close()
    archive = EventPager(url)
    served = opened(Web(port=0), [LiveSource(StreamSpec("rtsp://127.0.0.1:1/none"), "lobby")])
    served.announcer.recall(reversed(archive.page(EventFilter(), most=2).records))
    served.announcer.write(an_event(3))
    listener, back = Listener(served.address), Listener(served.address, after="event-2")
    listener.until(3)
    back.until(1)
    assert listener.ids == ["event-1", "event-2", "event-3"]
    assert listener.events[0] == an_event(1, wall_time=datetime(2026, 11, 22, 10, 1, tzinfo=UTC)).to_json()
    assert back.ids == ["event-3"]
    served.close()
    archive.close()
    for each in (listener, back):
        each.thread.join(WITHIN_S)


def test_a_burst_is_told_once_and_in_order(served: LiveView) -> None:
    listener = Listener(served.address)
    for number in range(KEPT):
        served.announcer.write(an_event(number))
    listener.until(KEPT)
    assert listener.ids == [f"event-{number}" for number in range(KEPT)]
    served.announcer.close()
    listener.thread.join(WITHIN_S)


def test_the_end_of_the_server_is_the_end_of_the_stream() -> None:
    served = opened(Web(port=0), [LiveSource(StreamSpec("rtsp://127.0.0.1:1/none"), "lobby")])
    listener = Listener(served.address)
    served.close()
    listener.thread.join(WITHIN_S)
    assert not listener.thread.is_alive()
