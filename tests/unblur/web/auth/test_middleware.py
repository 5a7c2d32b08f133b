"""Who may do what, and from where."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import httpx2 as httpx
import pytest
import sqlalchemy as sql
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from structlog.testing import capture_logs

from tests.stream.support.events import an_event
from tests.unblur.notify.support.waiting import until
from tests.unblur.web.support.serving import OPERATOR, PASSWORD, VIEWER, House, Visitor
from unblur.web.streaming import webrtc_signaling
from unblur.web.transport import access

TOKEN = "a token of enough letters"
BEARING = {"Authorization": f"Bearer {TOKEN}"}
NEWCOMER = {"name": "zoe", "password": PASSWORD}
WITHIN_S = 30
SDP = {"Content-Type": "application/sdp"}


def add(client: httpx.Client, **headers: str) -> httpx.Response:
    """Something that only operators may, by what a script would send."""
    return client.post("/api/v1/users", json=NEWCOMER, headers=headers)


def names(client: httpx.Client) -> list[str]:
    return [user["name"] for user in client.get("/api/v1/users").json()["users"]]


def test_without_an_account_programs_are_refused_and_people_sent_to_the_login(house: House) -> None:
    visitor = house.visitor()
    for path in ("/", "/account", "/users", "/audit", "/send", "/nothing"):
        assert visitor.get(path).status_code == 303
        assert visitor.get(path, headers={"Accept": "*/*"}).status_code == 401
    for path in ("/api/v1/cameras", "/api/v1/users", "/api/v1/events/stream", "/api/v1/openapi.json"):
        answer = visitor.get(path)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert visitor.post("/phone/whep", content="v=0", headers=SDP | {"Accept": "*/*"}).status_code == 401
    assert visitor.post("/users/add", data=NEWCOMER).headers["Location"] == "/login"
    assert visitor.get("/static/unblur.css").status_code == 200


def test_a_viewer_is_refused_what_an_operator_may(house: House) -> None:
    viewer, operator = house.visitor(VIEWER), house.visitor(OPERATOR)
    for visitor in (viewer, operator):
        visitor.headers["X-CSRF-Token"] = visitor.csrf()
        assert visitor.get("/").status_code == 200
        assert visitor.get("/api/v1/cameras").status_code == 200
    asked = [
        ("GET", "/users", 200),
        ("GET", "/audit", 200),
        ("GET", "/api/v1/audit", 200),
        ("GET", "/api/v1/users", 200),
        ("POST", "/phone/whip", 400),  # for what was sent is no offer
        ("POST", "/api/v1/users", 200),
        ("PATCH", "/api/v1/users/zoe", 200),
        ("DELETE", "/api/v1/users/zoe", 200),
        ("POST", "/users/add", 303),
        ("POST", "/users/role", 303),
        ("POST", "/users/remove", 303),
    ]
    person = NEWCOMER | {"role": "operator"}
    for method, path, status in asked:
        body = {"json": person} if "/api/" in path else {"data": person} if method == "POST" else {}
        assert viewer.request(method, path, **body).status_code == 403, path  # type: ignore[arg-type]
        assert operator.request(method, path, **body).status_code == status, path  # type: ignore[arg-type]
    refused = viewer.get("/users")
    assert "Only operators can do this." in refused.text
    assert refused.headers["Content-Type"].startswith("text/html")
    assert "Page not found" in viewer.get("/nothing").text


def test_what_is_sent_must_bear_the_sessions_own_token(house: House) -> None:
    operator, other = house.visitor(OPERATOR), house.visitor(OPERATOR)
    own, foreign = operator.csrf(), other.csrf()
    assert own != foreign
    for wrong in ("", "nonsense", foreign, own[:-1], own + "x"):
        assert add(operator, **{"X-CSRF-Token": wrong}).status_code == 403
        assert operator.post("/users/add", data=NEWCOMER | {"csrf": wrong}).status_code == 403
        assert operator.post("/logout", data={"csrf": wrong}).status_code == 403
    assert add(operator).status_code == 403
    assert operator.post("/users/add", params={"csrf": own}, data=NEWCOMER).status_code == 403
    assert operator.post("/phone/whip", content="v=0", headers=SDP).status_code == 403
    assert "zoe" not in names(operator)
    assert add(operator, **{"X-CSRF-Token": own}).status_code == 200
    assert operator.post("/users/remove", data={"name": "zoe", "csrf": own}).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_stolen_form_token_is_of_no_use_elsewhere(house: House, headers: dict[str, str]) -> None:
    operator = house.visitor(OPERATOR)
    assert add(operator, **{"X-CSRF-Token": operator.csrf()}, **headers).status_code == 403
    assert names(operator) == ["ann", "bob"]


@pytest.mark.parametrize("house", [TOKEN], indirect=True)
def test_a_token_is_as_good_as_an_operator(house: House) -> None:
    with httpx.Client(base_url=house.address, headers=BEARING) as program:
        assert add(program, Origin="http://elsewhere.example").status_code == 200
        assert names(program) == ["ann", "bob", "zoe"]
        assert program.get("/api/v1/cameras").headers["Access-Control-Allow-Origin"] == "*"
        with program.stream("GET", "/api/v1/events/stream") as stream:
            assert stream.headers["Access-Control-Allow-Origin"] == "*"
    assert house.written()[-1] == ("token", "added an account", "zoe, viewer")
    stranger = house.visitor()
    assert stranger.get("/").status_code == 303
    assert (
        stranger.get("/api/v1/users", headers={"Authorization": "Bearer a token of other letters"}).status_code == 401
    )


@pytest.mark.parametrize("house", [TOKEN], indirect=True)
@pytest.mark.parametrize("name", [b"Authorization", b"Cookie", b"X-CSRF-Token", b"Origin", b"X-Forwarded-For"])
def test_no_header_does_harm(house: House, name: bytes) -> None:
    operator = house.visitor(OPERATOR)
    for value in (b"\xff\xed\xa0\x80", b"Bearer \xff", b"unblur=\xff.\xff", b"http://[", b"," * 5000):
        for visitor in (house.visitor(), operator):
            assert visitor.post("/users/add", data=NEWCOMER, headers={name: value}).status_code < 500
            assert visitor.get("/api/v1/users", headers={name: value}).status_code < 500


@pytest.mark.parametrize("empty_house", [TOKEN], indirect=True)
def test_a_token_alone_keeps_people_out(empty_house: House) -> None:
    visitor = empty_house.visitor()
    assert visitor.get("/").status_code == 200  # which asks for it
    assert visitor.get("/users").headers["Location"].startswith("/login")
    assert "unblur users add" in visitor.get("/login").text
    assert visitor.get("/api/v1/users", headers=BEARING).json() == {"users": []}


def test_whoever_sits_here_is_the_operator_until_there_is_an_account(empty_house: House) -> None:
    visitor = empty_house.visitor()
    assert visitor.get("/account").status_code == 200
    assert visitor.get("/login").headers["Location"] == "/"
    refused = visitor.post("/users/add", data=NEWCOMER | {"role": "viewer"})
    assert refused.status_code == 400
    assert "the first account is an operator" in refused.text
    assert visitor.post("/users/add", data=NEWCOMER | {"role": "operator"}).status_code == 303
    assert empty_house.written() == [("local", "added an account", "zoe, operator")]
    assert visitor.get("/users").headers["Location"] == "/login?next=/users"
    assert visitor.sign_in("zoe").status_code == 303
    assert names(visitor) == ["zoe"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-Proto": "https"},
        {"Forwarded": "for=203.0.113.9"},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "ours"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_nobody_else_is_the_operator_of_this_machine(empty_house: House, headers: dict[str, str]) -> None:
    visitor = empty_house.visitor()
    if headers.get("Origin") == "ours":
        headers = headers | {"Origin": empty_house.address}
    assert visitor.post("/users/add", data=NEWCOMER | {"role": "operator"}, headers=headers).status_code == 403
    assert not empty_house.reception.accounts.exist()


@pytest.mark.parametrize("site", [{}, {"Sec-Fetch-Site": "same-origin"}])
def test_our_own_pages_are_ours(empty_house: House, site: dict[str, str]) -> None:
    visitor: Visitor = empty_house.visitor()
    headers = {"Origin": empty_house.address, **site}
    assert visitor.post("/users/add", data=NEWCOMER | {"role": "operator"}, headers=headers).status_code == 303


@pytest.mark.parametrize("house", [TOKEN, None], indirect=True)
def test_answers_protect_themselves(house: House) -> None:
    visitor = house.visitor(OPERATOR)
    for path in ("/", "/login", "/nothing", "/api/v1/cameras", "/api/v1/nothing", "/static/live_page.js"):
        answer = visitor.get(path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    with visitor.stream("GET", "/api/v1/events/stream") as stream:
        assert "default-src 'none'" in stream.headers["Content-Security-Policy"]


def test_people_come_in_while_pictures_take_all_the_threads(house: House) -> None:
    """aiortc encodes on the loop's own."""
    operator, done = house.visitor(OPERATOR), threading.Event()
    loop = house.watching.announcer._loop
    try:
        for _ in range(64):
            loop.call_soon_threadsafe(lambda: loop.run_in_executor(None, done.wait))
        assert operator.get("/api/v1/cameras").status_code == 200
    finally:
        done.set()


def test_probes_are_answered_while_the_database_is_at_work(house: House) -> None:
    done = threading.Event()
    try:
        for _ in range(2):
            access._AUTH_EXECUTOR.submit(done.wait)
        assert house.visitor().get("/healthz").status_code == 404  # there is none here
    finally:
        done.set()


def test_events_end_with_the_session(house: House) -> None:
    operator = house.visitor(OPERATOR)
    with operator.stream("GET", "/api/v1/events/stream") as stream:
        lines = stream.iter_lines()
        house.watching.announcer.write(an_event(1, name="Zoe"))
        assert any("event-1" in line for line in lines)
        house.reception.accounts.set_password(OPERATOR, "another password")
        house.watching.announcer.write(an_event(2, name="Eve"))
        assert not any("Eve" in line for line in lines)


def end_while_connected(visitor: Visitor, path: str, happen: Callable[[], object]) -> None:
    """Begin a session, let something happen once it is connected, and wait until it has ended."""
    headers = {"X-CSRF-Token": visitor.csrf(), **SDP}

    async def test() -> None:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTransceiver("video", direction="recvonly" if path.endswith("whep") else "sendonly")
        states: asyncio.Queue[str] = asyncio.Queue()
        connection.on("connectionstatechange", lambda: states.put_nowait(connection.connectionState))
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        answer = await asyncio.to_thread(visitor.post, path, content=offer, headers=headers)
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        while await states.get() != "connected":
            pass
        await asyncio.to_thread(happen)
        while await states.get() != "closed":
            pass
        await connection.close()

    asyncio.run(asyncio.wait_for(test(), WITHIN_S))


@pytest.fixture
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc_signaling, "LOOK_S", 0.05)


@pytest.mark.usefixtures("looking_often")
def test_pictures_end_with_the_session(house: House) -> None:
    accounts = house.reception.accounts
    sign_out = partial(accounts.set_password, OPERATOR, "another password")
    end_while_connected(house.visitor(OPERATOR), "/phone/whep", sign_out)
    assert house.watching.viewers == 0


@pytest.mark.usefixtures("looking_often")
def test_who_is_no_operator_any_more_sends_no_pictures_either(house: House) -> None:
    accounts = house.reception.accounts
    accounts.add("zoe", PASSWORD, "operator")
    visitor = house.visitor("zoe")
    end_while_connected(visitor, "/phone/whip", lambda: accounts.set_role("zoe", "viewer"))
    assert visitor.get("/account").status_code == 200, "but stays signed in"


def test_events_told_to_whoever_sits_here_end_with_the_first_account(empty_house: House) -> None:
    with empty_house.visitor().stream("GET", "/api/v1/events/stream") as stream:
        lines = stream.iter_lines()
        empty_house.watching.announcer.write(an_event(1, name="Zoe"))
        assert any("event-1" in line for line in lines)
        empty_house.reception.accounts.add(OPERATOR, PASSWORD, "operator")
        empty_house.watching.announcer.write(an_event(2, name="Eve"))
        assert not any("Eve" in line for line in lines)


@pytest.mark.usefixtures("looking_often")
@pytest.mark.parametrize("kind", ["whep", "whip"])
def test_pictures_of_whoever_sits_here_end_with_the_first_account(empty_house: House, kind: str) -> None:
    add_first = partial(empty_house.reception.accounts.add, OPERATOR, PASSWORD, "operator")
    end_while_connected(empty_house.visitor(), f"/phone/{kind}", add_first)


def rename(house: House, table: str, name: str) -> None:
    """What else asks for this table is refused."""
    with house.engine.begin() as connection:
        connection.execute(sql.text(f"ALTER TABLE {table} RENAME TO {name}"))


@pytest.mark.usefixtures("looking_often")
def test_a_database_that_refuses_once_lets_nobody_stay_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc_signaling, "_MAX_DB_FAILURES", 1_000_000)

    def refuse_and_sign_out() -> None:
        with capture_logs() as said:
            rename(house, "sessions", "elsewhere")
            until(lambda: any("no such table" in str(line.get("problem")) for line in said))
        rename(house, "elsewhere", "sessions")
        house.reception.accounts.set_password(OPERATOR, "another password")

    end_while_connected(house.visitor(OPERATOR), "/phone/whep", refuse_and_sign_out)


@pytest.mark.usefixtures("looking_often")
def test_pictures_end_where_the_database_refuses_for_long(house: House) -> None:
    end_while_connected(house.visitor(OPERATOR), "/phone/whep", partial(rename, house, "sessions", "elsewhere"))
