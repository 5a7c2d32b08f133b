"""The application below a path, as a proxy publishes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx2 as httpx
import pytest

from configs.errors import ConfigError
from configs.loader import load
from configs.schema import Web
from stream.sources.receiver import PushSource
from tests.unblur.web.support.serving import OPERATOR, House, Visitor
from unblur.web.pages.live import LiveView

PREFIX = "/cams"
STATIC = Path(__file__).parents[4] / "unblur" / "web" / "static"
FORWARDED = {"X-Forwarded-Prefix": PREFIX, "X-Forwarded-For": "203.0.113.9"}


class Links(HTMLParser):
    """What a page leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "src", "action")]


@pytest.fixture
def configured(house: House) -> Iterator[str]:
    """A server with a prefix in its configuration."""
    watching = LiveView(Web(port=0, prefix=PREFIX), [PushSource("phone")])
    reception = house.reception
    watching.open(reception.guard(None), reception.pages)
    yield watching.address
    watching.close()


def proxied(house: House) -> Visitor:
    visitor = house.visitor()
    visitor.headers.update(FORWARDED)
    return visitor


def test_what_a_page_leads_to_is_below_the_prefix(house: House) -> None:
    visitor = proxied(house)
    assert visitor.get("/account").headers["Location"] == f"{PREFIX}/login?next=/account"
    signed_in = visitor.post("/login?next=/users", data={"name": OPERATOR, "password": "correct horse battery"})
    assert signed_in.headers["Location"] == f"{PREFIX}/users"
    assert re.search(rf"unblur=.*Path={PREFIX}(;|$)", signed_in.headers["Set-Cookie"])
    visitor.cookies.clear()
    visitor.headers["Cookie"] = signed_in.headers["Set-Cookie"].partition(";")[0]
    for path in ("/", "/account", "/users", "/audit", "/send", "/nothing"):
        page = visitor.get(path)
        assert f'<html lang="en" data-prefix="{PREFIX}">' in page.text
        links = [link for link in Links(page.text).found if not link.startswith(("#", "data:"))]
        assert links
        assert [link for link in links if not link.startswith(f"{PREFIX}/")] == []
    assert visitor.get("/api/v1/openapi.json").json()["servers"] == [{"url": PREFIX}]
    out = visitor.post("/logout", data={"csrf": csrf(visitor)})
    assert out.headers["Location"] == f"{PREFIX}/login"
    assert f"Path={PREFIX}" in out.headers["Set-Cookie"]


def csrf(visitor: Visitor) -> str:
    found = re.search(r'<meta name="csrf" content="([^"]*)">', visitor.get("/account").text)
    assert found
    return found[1]


@pytest.mark.parametrize(("prefix", "name"), [(PREFIX, "__Secure-unblur"), ("", "__Host-unblur")])
def test_over_https_the_cookie_is_for_the_prefix_alone(house: House, prefix: str, name: str) -> None:
    path = prefix or "/"
    visitor = house.visitor()
    visitor.headers.update(FORWARDED | {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": prefix})
    said = visitor.sign_in(OPERATOR).headers["Set-Cookie"]
    assert said.startswith(f"{name}=")
    assert f"Path={path};" in f"{said};"
    assert "Secure" in said


def test_a_session_of_signalling_is_below_it(empty_house: House, offer: str) -> None:
    headers = {"X-Forwarded-Prefix": PREFIX, "Content-Type": "application/sdp"}
    answer = httpx.post(f"{empty_house.address}/phone/whep", content=offer, headers=headers)
    assert answer.status_code == 201
    location = answer.headers["Location"]
    assert location.startswith(f"{PREFIX}/phone/whep/")
    assert httpx.delete(empty_house.address + location.removeprefix(PREFIX)).status_code == 200


@pytest.mark.parametrize(
    "said",
    ["//elsewhere.example", "/\\elsewhere", "cams", "/a b", "/../cams", "/.", "/a,/b", "/ü", "/<script>", '/"', "/a//b",
     "/%2f", "http://elsewhere.example/", "/a" * 300],
)  # fmt: skip
def test_what_is_no_path_is_passed_over(house: House, said: str) -> None:
    visitor = house.visitor()
    answer = visitor.get("/account", headers={b"X-Forwarded-Prefix": said.encode()})
    assert answer.headers["Location"] == "/login?next=/account"


def test_only_a_proxy_on_this_machine_is_believed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblur.web.transport.path_prefix.is_local", lambda peer: peer == "127.0.0.2")
    assert proxied(house).get("/account").headers["Location"].startswith("/login")


@pytest.mark.parametrize("left", [PREFIX, ""])
def test_a_configured_prefix_may_stay_in_the_path(configured: str, left: str) -> None:
    with Visitor(configured + left) as visitor:
        assert visitor.get("/account").headers["Location"] == f"{PREFIX}/login?next=/account"
        assert visitor.get("/static/unblur.css").status_code == 200
        assert f'action="{PREFIX}/' not in visitor.get("/login").text
        assert visitor.get("").status_code == 303
        assert visitor.get(f"{PREFIX}land/").headers["Location"] == f"{PREFIX}/login?next={PREFIX}land/"


def test_the_configuration_has_the_last_word(configured: str) -> None:
    answer = httpx.get(f"{configured}/account", headers={"Accept": "text/html", "X-Forwarded-Prefix": "/other"})
    assert answer.headers["Location"] == f"{PREFIX}/login?next=/account"


@pytest.mark.parametrize("prefix", ["cams", "/a b", "/..", "/cams?", "https://cams.example.org/"])
def test_a_prefix_that_is_none_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.prefix: a path prefix is / and names"):
        load(None, {"web": {"prefix": prefix}})


@pytest.mark.parametrize(("given", "prefix"), [("/cams/", "/cams"), ("/", ""), ("/a/b-c.d", "/a/b-c.d")])
def test_a_slash_at_the_end_is_no_matter(given: str, prefix: str) -> None:
    assert load(None, {"web": {"prefix": given}}).web.prefix == prefix


def test_no_script_leaves_the_prefix_out() -> None:
    """Every path in a script begins with it."""
    bare = re.compile(r"""(?:fetch|reach|assign|listen)\(\s*[`"']/|(?:src|href|action) = [`"']/""")
    for script in STATIC.glob("*.js"):
        assert not bare.search(script.read_text(encoding="utf-8")), script.name
