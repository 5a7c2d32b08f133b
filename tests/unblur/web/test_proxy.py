"""nginx and Caddy before the application, with the very configurations of the document, and Chromium before them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from recognize.gallery.people_gallery import Gallery
from tests.stream.support.events import an_event
from tests.unblur.web.conftest import WITHIN_MS
from tests.unblur.web.support.proxies import caddy, certificate, documented, free_port, nginx, substituted, trusting
from tests.unblur.web.support.serving import OPERATOR, PASSWORD, QUICK, House
from tests.unblur.web.support.studio import Studio, encoded, shrunk
from tests.unblur.web.test_whole import serving
from unblur.app_database import application_database
from unblur.web.auth.accounts import Accounts

SITE = "cams.example.org"


@contextmanager
def published(proxy: str, address: str, folder: Path) -> Iterator[str]:
    """The documented proxy before a server; the address of the pages."""
    port, upstream = free_port(), address.removeprefix("http://")
    text = substituted(documented({"nginx": "nginx", "caddy": "caddyfile"}[proxy]), {"127.0.0.1:8080": upstream})
    if proxy == "caddy":
        with caddy(substituted(text, {SITE: f"https://localhost:{port}"}), folder, port):
            yield f"https://localhost:{port}/cams"
        return
    public, key = certificate(folder)
    text = substituted(text, {"listen 443": f"listen 127.0.0.1:{port}", f"/etc/ssl/certs/{SITE}.pem": str(public)})
    text = substituted(text, {f"/etc/ssl/private/{SITE}.key": str(key)})
    with nginx(text, folder, port):
        yield f"https://localhost:{port}/cams"


@pytest.fixture(params=["nginx", "caddy"])
def below(request: pytest.FixtureRequest, house: House, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "proxy").mkdir()
    with published(request.param, house.address, tmp_path / "proxy") as address:
        yield address


def test_a_person_signs_in_looks_around_and_signs_out(below: str, house: House) -> None:
    headers = {"Accept": "text/html", "Origin": below.removesuffix("/cams")}
    with httpx.Client(verify=trusting(), headers=headers, follow_redirects=True) as visitor:
        assert str(visitor.get(below).url) == f"{below}/login?next=/"
        page = visitor.post(f"{below}/login?next=/account", data={"name": OPERATOR, "password": PASSWORD})
        assert str(page.url) == f"{below}/account"
        assert "this session" in page.text
        found = re.search(r'<meta name="csrf" content="([^"]+)">', page.text)
        assert found
        assert str(visitor.post(f"{below}/logout", data={"csrf": found[1]}).url) == f"{below}/login"
    assert house.written()[0] == (OPERATOR, "signed in", "from 127.0.0.1")


def test_an_event_arrives_while_the_stream_goes_on(below: str, house: House) -> None:
    with httpx.Client(verify=trusting(), headers={"Origin": below.removesuffix("/cams")}) as visitor:
        visitor.post(f"{below}/login", data={"name": OPERATOR, "password": PASSWORD})
        with visitor.stream("GET", f"{below}/api/v1/events/stream", timeout=20) as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": still here"  # that the stream has begun is known before anything happens
            house.watching.announcer.write(an_event(7))
            assert "event-7" in next(line for line in lines if line and not line.startswith(":"))


def test_answers_of_a_proxy_are_told_in_words(page: Page, known: Gallery, portraits: Path, tmp_path: Path) -> None:
    """A photo that is larger than it lets through, a server that is away, and no proxy at all."""
    studio, port = Studio(lambda: known), free_port()
    (tmp_path / "photo.png").write_bytes(encoded(shrunk(portraits / "obama.jpg")))
    passing = f"proxy_set_header Host $http_host; proxy_pass {studio.address};"
    block = f"server {{ listen 127.0.0.1:{port}; client_max_body_size 50k; location / {{ {passing} }} }}"
    fault = page.locator("#fault")
    with ExitStack() as stack:
        stack.callback(studio.close)
        proxy = stack.enter_context(ExitStack())
        proxy.enter_context(nginx(block, tmp_path / "nginx", port))
        page.goto(f"http://127.0.0.1:{port}/photo")
        page.get_by_label("Photo", exact=True).set_input_files(tmp_path / "photo.png")
        page.get_by_role("button", name="Unblur").click()
        expect(fault).to_have_text(
            "The reverse proxy in front of unblur refuses uploads of this size (413). Raise its body size limit."
        )
        page.get_by_label("Photo", exact=True).set_input_files({"name": "a.png", "mimeType": "", "buffer": b"small"})
        page.get_by_role("button", name="Unblur").click()
        expect(fault).to_contain_text("a.png: ")
        studio.stop()
        page.get_by_role("button", name="Unblur").click()
        expect(fault).to_contain_text("The reverse proxy cannot reach unblur (502)")
        proxy.close()
        page.get_by_role("button", name="Unblur").click()
        expect(fault).to_contain_text("Could not reach the server")


@pytest.fixture(scope="module")
def whole(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`unblur serve` with a camera, a known person and an operator, behind the documented nginx."""
    data = tmp_path_factory.mktemp("whole")
    engine = application_database(data)
    Accounts(engine, QUICK).add(OPERATOR, PASSWORD, "operator")
    engine.dispose()
    config = data / "config.yaml"
    camera = f"cameras: [{{name: lobby, source: 'loop:{demo / 'camera.mp4'}'}}]"
    config.write_text(f"{camera}\nrecognition: {{gallery: {demo / 'people.joblib'}}}\n", encoding="utf-8")
    proxy = tmp_path_factory.mktemp("proxy")
    with serving(data, "--config", str(config)) as address, published("nginx", address, proxy) as below:
        yield below


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_page_works_below_the_prefix(whole: str, browser: Browser, portraits: Path, tmp_path: Path) -> None:
    lost: list[str] = []
    page = browser.new_page(ignore_https_errors=True)
    page.set_default_timeout(WITHIN_MS)
    page.on("pageerror", lambda error: lost.append(str(error)))
    page.on("response", lambda answer: lost.append(answer.url) if answer.status >= 400 else None)
    page.on("request", lambda asked: lost.append(asked.url) if not _is_below(asked.url, whole) else None)
    page.goto(f"{whole}/")
    page.get_by_label("Name").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".camera[data-state='live']")).to_be_visible(timeout=60_000)
    known = page.locator("#events li[data-known='true']", has_text="Barack Obama").first
    expect(known.locator("img.raw")).not_to_have_js_property("naturalWidth", 0, timeout=60_000)
    known.locator("a.crops").click()
    expect(page.get_by_role("heading", name="Barack Obama")).to_be_visible()
    page.get_by_role("button", name="Correct").click()
    expect(page.locator(".said")).to_contain_text("correct")
    page.get_by_role("link", name="Events", exact=True).click()
    expect(page.locator(".sightings li .crops img").first).not_to_have_js_property("naturalWidth", 0)
    page.get_by_role("link", name="People", exact=True).click()
    expect(page.locator(".card img").first).not_to_have_js_property("naturalWidth", 0)
    page.get_by_role("link", name="Barack Obama").click()
    page.get_by_label("Description").fill("a guest")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".description").first).to_have_text("a guest")
    page.get_by_role("link", name="Unblur a photo").click()
    (tmp_path / "photo.png").write_bytes(encoded(shrunk(portraits / "obama2.jpg")))
    page.get_by_label("Photo", exact=True).set_input_files(tmp_path / "photo.png")
    page.get_by_role("button", name="Unblur").click()
    expect(page.get_by_role("img", name="Face 1, before")).not_to_have_js_property("naturalWidth", 0, timeout=60_000)
    page.get_by_role("link", name="Health", exact=True).click()
    expect(page.locator("#cameras tr")).to_contain_text("lobby")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{whole}/login")
    page.close()
    assert not lost


def _is_below(url: str, whole: str) -> bool:
    return url.startswith((f"{whole}/", "data:", "blob:"))
