"""What strangers tried, and must go on trying in vain: over bare sockets, for a client would tidy it up."""

from __future__ import annotations

import gzip
from contextlib import ExitStack

import httpx2 as httpx
import pytest

from configs.schema import Web
from tests.unblur.web.support.serving import OPERATOR, PASSWORD, House, Visitor
from tests.unblur.web.support.sockets import FORM, answer, connected
from unblur.web.pages.live import LiveView

SECOND = "GET /account HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Smuggled: "
TOKEN = "a token of enough letters"
BOMB = gzip.compress(bytes(64 << 20))
"""64 MiB in 64 KiB."""


def said(address: str, request: str) -> str:
    """What comes back, until the server ends the connection or has said all."""
    with ExitStack() as stack:
        connection = connected(address, stack)
        connection.sendall(request.encode())
        return answer(connection)


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 99",
        "Content-Length: +4",
        "Content-Length: 4,99",
        "Content-Length: 0x4",
        "Content-Length: -4",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Content-Length : 4",
        "X: y\r\n Content-Length: 4\r\nContent-Length: 99",
        "X: a\x00b\r\nContent-Length: 4",
    ],
)
def test_no_request_hides_within_another(house: House, headers: str) -> None:
    """One whose end can be read in two ways is refused, and the connection with it (RFC 9112, 6.3)."""
    body = f"0\r\n\r\n{SECOND}"
    request = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM}\r\n{headers}\r\n\r\n{body}"
    with ExitStack() as stack:
        connection = connected(house.address, stack)
        connection.sendall(request.encode())
        first = answer(connection)
        assert first.startswith(("HTTP/1.0 400 ", "HTTP/1.1 400 "))
        while more := connection.recv(65536):
            first += more.decode()
    assert first.count("HTTP/1.") == 1


@pytest.mark.parametrize(
    "chunk", ["4\r\nname\r\nxyz\r\n", "-1\r\n", "0x4\r\nname\r\n0\r\n\r\n", "ffffffffffffffffff\r\n", "4;\nname\r\n"]
)
def test_a_chunk_that_is_none_is_refused(house: House, chunk: str) -> None:
    head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert said(house.address, head + chunk).startswith(("HTTP/1.0 400 ", "HTTP/1.1 400 "))


@pytest.mark.parametrize("prefix", ["", "/cams"])
@pytest.mark.parametrize(
    "path",
    [
        "/static/../account",
        "/static/%2e%2e/account",
        "/static/..%2faccount",
        "/static//../account",
        "/static/../../application.sqlite",
        "/static/%2e%2e%2f%2e%2e%2fguard.py",
        "/static/..%5cguard.py",
        "/static/.",
        "/static/%00",
        "//account",
        "/./account",
        "/login/../account",
        "/healthz/../account",
        "/healthz%2f..%2faccount",
        "/account;/static/",
        "http://127.0.0.1/account",
        "/evidence/..%2f..%2fapplication.sqlite/raw.png",
        "/faces/..%2fpeople.joblib",
    ],
)
def test_no_path_leads_around_the_guard(house: House, prefix: str, path: str) -> None:
    watching = LiveView(Web(port=0, prefix=prefix), [])
    watching.open(house.reception.guard(None), house.reception.pages)
    for place in {path, prefix + path if path.startswith("/") else path}:
        got = said(watching.address, f"GET {place} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n\r\n")
        status = int(got.split(maxsplit=2)[1])
        assert status in (303, 400, 401, 403, 404), got
        assert "def guard" not in got
    watching.close()


@pytest.mark.parametrize(
    "where", ["%0d%0aSet-Cookie:%20a=b", "/%0d%0aSet-Cookie:%20a=b", "//elsewhere.example", "/\\elsewhere.example"]
)
def test_nobody_is_led_elsewhere_after_signing_in(house: House, where: str) -> None:
    with Visitor(house.address) as visitor:
        got = visitor.post(f"/login?next={where}", data={"name": OPERATOR, "password": PASSWORD})
        assert got.headers["Location"] == "/"
        assert "a=b" not in got.headers["Set-Cookie"]


@pytest.mark.parametrize("house", [TOKEN, None], indirect=True)
def test_a_page_elsewhere_gets_nothing_with_the_cookie(house: House) -> None:
    operator, origin = house.visitor(OPERATOR), {"Origin": "https://elsewhere.example"}
    for path in ("/", "/account", "/api/v1/users", "/api/v1/cameras", "/static/api.js", "/nothing"):
        got = operator.get(path, headers=origin)
        assert "Access-Control-Allow-Credentials" not in got.headers
        assert got.headers.get("Access-Control-Allow-Origin") in (None, "*"), "which no browser takes with a cookie"
        assert got.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("house", [TOKEN], indirect=True)
@pytest.mark.parametrize(
    ("path", "kind"),
    [("/login", FORM), ("/api/v1/users", "application/json"), ("/phone/whep", "application/sdp")],
)
def test_what_unpacks_to_more_than_may_be_sent_is_refused(house: House, path: str, kind: str) -> None:
    headers = {"Content-Type": kind, "Content-Encoding": "gzip", "Authorization": f"Bearer {TOKEN}"}
    assert len(BOMB) < 80_000
    with httpx.Client(base_url=house.address, headers=headers, timeout=30) as client:
        assert client.post(path, content=BOMB).status_code in (400, 413)
        assert client.post(path, content=b"no gzip at all").status_code == 400
