"""Bodies that trickle, and requests that are broken off, over real sockets."""

from __future__ import annotations

import logging
import select
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unblur.notify.support.waiting import until
from tests.unblur.web.support.running import house as running_house
from tests.unblur.web.support.serving import OPERATOR, PASSWORD, House
from tests.unblur.web.support.sockets import WITHIN_S, answer, connected, head, reset
from unblur.web.auth import middleware
from unblur.web.transport import request_body
from unblur.web.transport.connection_limits import ConnectionLimiter
from unblur.web.transport.request_body import MinimumRate

MOST = 12
LOGIN = head("POST", "/login", length=4000)
SENT = {
    "form": LOGIN + b"name=",
    "chunked form": head("POST", "/login") + b"5\r\nname=",
    "offer": head("POST", "/phone/whep", content_type="application/sdp", length=4000) + b"v=0",
    "JSON": head("POST", "/api/v1/users", content_type="application/json", length=4000) + b"{",
    "candidates": head("PATCH", "/phone/whep/x", content_type="application/trickle-ice-sdpfrag", length=400) + b"a",
}


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve connections are all."""
    monkeypatch.setattr("unblur.web.transport.server.ConnectionLimiter", lambda: ConnectionLimiter(MOST, reserved=4))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "PACE", MinimumRate(grace_s=0.3, bytes_per_s=100_000, longest_s=1.0))


def trickling(address: str, stack: ExitStack, client: str = "") -> socket.socket:
    """A client whose name has begun, and never ends."""
    connection = connected(address, stack)
    forwarded = {"X_Forwarded_For": client} if client else {}
    connection.sendall(head("POST", "/login", length=4000, **forwarded) + b"name=")
    return connection


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("empty_house", ["a token of enough letters"], indirect=True)
@pytest.mark.parametrize("kind", ["form", "chunked form", "candidates"])
def test_a_body_that_does_not_come_is_given_up(empty_house: House, kind: str) -> None:
    with ExitStack() as stack:
        connection = connected(empty_house.address, stack)
        connection.sendall(SENT[kind])
        assert answer(connection).startswith("HTTP/1.1 408 ")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["offer", "JSON"])
def test_so_is_one_of_somebody_who_may_come_in(empty_house: House, kind: str) -> None:
    with ExitStack() as stack:
        connection = connected(empty_house.address, stack)
        connection.sendall(SENT[kind])
        assert answer(connection).startswith("HTTP/1.1 408 ")


@pytest.mark.usefixtures("full")
def test_trickled_bodies_keep_nobody_out(house: House) -> None:
    """Nor do they keep out who probes, who is signed in already, or who signs in now."""
    operator = house.visitor(OPERATOR)
    assert operator.get("/account").status_code == 200
    with ExitStack() as stack:
        for _ in range(3 * MOST):
            trickling(house.address, stack)
        assert operator.get("/account").status_code == 200
        assert house.visitor().get("/static/unblur.css").status_code == 200
        assert house.visitor().get("/login").status_code == 200
    assert house.watching.refused


@pytest.mark.usefixtures("full")
def test_probes_are_answered_while_bodies_trickle(tmp_path: Path, portraits: Path) -> None:
    with running_house(tmp_path, portraits / "biden.jpg") as house, ExitStack() as stack:
        house.accounts.add(OPERATOR, PASSWORD, "operator")
        for _ in range(3 * MOST):
            trickling(house.address, stack)
        connection = connected(house.address, stack)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert answer(connection).startswith("HTTP/1.1 200 ")


def test_a_client_behind_the_proxy_takes_only_its_own_places(house: House) -> None:
    most = middleware._BODIES[0]
    with ExitStack() as stack:
        held = [trickling(house.address, stack, "203.0.113.9") for _ in range(most + 1)]
        (one,), _, _ = select.select(held, [], [], WITHIN_S)
        refused = answer(one)
        assert refused.startswith("HTTP/1.1 503 ")
        assert "Retry-After: " in refused
        other = house.visitor()
        other.headers["X-Forwarded-For"] = "203.0.113.10"
        assert other.sign_in(OPERATOR).status_code == 303
        for connection in held:
            connection.close()
        once_more = house.visitor()
        once_more.headers["X-Forwarded-For"] = "203.0.113.9"
        until(lambda: once_more.sign_in(OPERATOR).status_code == 303)


class _Connection:
    def __init__(self) -> None:
        self.is_closed = False

    def force_close(self) -> None:
        self.is_closed = True


def test_who_proved_nothing_makes_room_and_who_is_signed_in_stays() -> None:
    crowd, known, probing = (
        ConnectionLimiter(most=4, reserved=1),
        [_Connection() for _ in range(4)],
        [_Connection() for _ in range(3)],
    )
    assert [crowd.enter("192.0.2.1", each) and crowd.mark_authenticated(each) for each in known] == [
        True,
        True,
        True,
        False,
    ]
    assert [crowd.enter("192.0.2.2", each) for each in probing] == [True] * 3
    assert [each.is_closed for each in [*known, *probing]] == [False, False, False, True, True, True, False]
    crowd.mark_unauthenticated(known[0])
    assert crowd.enter("192.0.2.3", _Connection())
    assert crowd.enter("192.0.2.3", _Connection())
    assert known[0].is_closed
    assert crowd.refused == 6


@pytest.mark.parametrize("kind", SENT)
@pytest.mark.parametrize("is_reset", [False, True])
def test_a_request_that_is_broken_off_says_nothing(
    empty_house: House, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], kind: str, is_reset: bool
) -> None:
    with ExitStack() as stack, caplog.at_level(logging.WARNING):
        connection = connected(empty_house.address, stack)
        connection.sendall(SENT[kind])
        until(lambda: _asked(empty_house) > 0)
        reset(connection) if is_reset else connection.close()
        until(lambda: not _inside(empty_house))
        assert empty_house.visitor().get("/account").status_code == 200
    assert not caplog.records
    assert not capfd.readouterr().err


@pytest.mark.parametrize("path", ["/api/v1/events/stream", "/static/unblur.css", "/account", "/nothing"])
def test_nor_does_an_answer_that_nobody_waits_for(
    empty_house: House, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    with ExitStack() as stack, caplog.at_level(logging.WARNING):
        connection = connected(empty_house.address, stack)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() * 20)
        reset(connection)
        until(lambda: not _inside(empty_house))
        assert empty_house.visitor().get("/account").status_code == 200
    assert not caplog.records
    assert not capfd.readouterr().err


def _inside(house: House) -> int:
    return house.watching._server._limiter._counts.total()


def _asked(house: House) -> int:
    runner = house.watching._server._runner
    assert runner
    assert runner.server
    return runner.server.requests_count


def test_a_pace_has_its_end() -> None:
    pace = MinimumRate(grace_s=1, bytes_per_s=10, longest_s=5)
    assert [pace.allowed_s(size) for size in (0, 10, 40, 1000)] == [1, 2, 5, 5]
