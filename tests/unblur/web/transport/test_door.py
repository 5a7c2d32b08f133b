"""Connections that ask for nothing, over real sockets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2 as httpx
import pytest

from configs.schema import Web
from stream.sources.receiver import PushSource
from tests.stream.support.events import an_event
from tests.unblur.web.support.serving import opened
from tests.unblur.web.support.sockets import connected
from unblur.web.pages.live import LiveView
from unblur.web.transport.connection_limits import ConnectionLimiter

WITHIN_S = 30


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveView]:
    """Waits half a second for a request."""
    monkeypatch.setattr("unblur.web.transport.connection_limits.ASKS_WITHIN_S", 0.5)
    watching = opened(Web(port=0), [PushSource("phone")])
    yield watching
    watching.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveView]:
    """Has room for two."""
    monkeypatch.setattr("unblur.web.transport.server.ConnectionLimiter", lambda: ConnectionLimiter(most=2, reserved=0))
    watching = opened(Web(port=0), [PushSource("phone")])
    yield watching
    watching.close()


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-More: "])
def test_a_connection_without_a_whole_request_is_ended(hasty: LiveView, said: bytes) -> None:
    with ExitStack() as stack:
        idle = connected(hasty.address, stack)
        idle.sendall(said)
        assert idle.recv(100) == b""


@pytest.mark.parametrize(
    "said",
    [b"\x16\x03\x01\x02\0", b"GET / HTTP/1.1\r\nno header\r\n\r\n", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n"],
)
def test_what_does_not_speak_http_is_no_fault_to_be_reported(
    hasty: LiveView, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    with ExitStack() as stack, caplog.at_level(logging.WARNING):
        connection = connected(hasty.address, stack)
        connection.sendall(said)
        assert b" 400 " in connection.recv(100)
    assert not caplog.records


def test_an_answer_that_goes_on_is_not_cut_off(hasty: LiveView) -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(httpx.stream("GET", f"{hasty.address}/api/v1/events/stream", timeout=WITHIN_S))
        assert connected(hasty.address, stack).recv(100) == b""  # it came later, and its time is up
        hasty.announcer.write(an_event(7))
        assert any("event-7" in line for line in listening.iter_lines())


def test_who_is_one_too_many_is_told_until_somebody_goes(small: LiveView) -> None:
    with ExitStack() as stack, httpx.Client(base_url=small.address) as one, httpx.Client(base_url=small.address) as two:
        assert one.get("/api/v1/cameras").status_code == two.get("/api/v1/cameras").status_code == 200
        assert connected(small.address, stack).recv(100).startswith(b"HTTP/1.1 503 ")
        assert small.refused == 1
        one.close()
        while httpx.get(f"{small.address}/api/v1/cameras").status_code == 503:
            pass  # the test has a time limit
    assert small.refused >= 1


class Connection:
    """A visitor's, signed in or not."""

    def __init__(self, crowd: ConnectionLimiter, peer: str, is_known: bool = True) -> None:
        self.is_closed = False
        self.is_in = crowd.enter(peer, self)
        if self.is_in and is_known:
            assert crowd.mark_authenticated(self)

    def force_close(self) -> None:
        self.is_closed = True


def test_one_address_has_not_all_the_room() -> None:
    crowd = ConnectionLimiter(most=6, per_network=2, reserved=0)
    first = [Connection(crowd, "192.0.2.1") for _ in range(3)]
    assert [each.is_in for each in first] == [True, True, False]
    assert [Connection(crowd, f"2001:db8::{number}").is_in for number in range(3)] == [True, True, False]
    crowd.leave(first[0])
    assert Connection(crowd, "::ffff:192.0.2.1").is_in
    assert not Connection(crowd, "192.0.2.1").is_in
    assert crowd.refused == 3


def test_who_is_not_signed_in_makes_room_in_its_own_address_first() -> None:
    crowd = ConnectionLimiter(most=6, per_network=2)
    elsewhere = Connection(crowd, "192.0.2.1", is_known=False)
    here = [Connection(crowd, "192.0.2.2", is_known=False) for _ in range(3)]
    assert [each.is_closed for each in [elsewhere, *here]] == [False, True, False, False]


def test_a_proxy_on_this_machine_speaks_for_everybody() -> None:
    crowd = ConnectionLimiter(most=6, per_network=2, reserved=0)
    assert [Connection(crowd, "127.0.0.1").is_in for _ in range(7)] == [True] * 6 + [False]
