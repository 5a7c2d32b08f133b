"""The whole application as a newcomer finds it: `unblur serve` without a configuration, in Chromium and under fuzzing.

With UNBLUR_SCREENSHOTS=FOLDER the pictures of docs/ are taken on the way.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.unblur.web.conftest import WITHIN_MS
from tests.unblur.web.support.studio import encoded, moved, shrunk

PAGES = ("/", "/events", "/people", "/photo", "/health", "/account", "/users", "/audit")
TOKEN = "a token of enough letters"
SHOTS = os.environ.get("UNBLUR_SCREENSHOTS")
_ADDRESS = re.compile(r"Open (http://\S+)/")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@contextmanager
def serving(data: Path, *more: str, **environment: str) -> Iterator[str]:
    """The command as a person starts it; its address."""
    command = [sys.executable, "-m", "unblur", "serve", "--port", "0", "--data", str(data), *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as server:
        assert server.stderr
        address = next(found[1] for line in server.stderr if (found := _ADDRESS.search(line)))
        threading.Thread(target=server.stderr.read, daemon=True).start()  # else it would stop when the pipe is full
        try:
            yield address
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("house")


@pytest.fixture(scope="module")
def house(data: Path) -> Iterator[str]:
    with serving(data) as address:
        yield address


def _shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.jpg", type="jpeg", quality=80)


def test_the_first_thing_a_newcomer_sees_works(house: str, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 1150})
    page.goto(house)
    expect(page.locator(".camera[data-state='live']")).to_be_visible(timeout=WITHIN_MS)
    known = page.locator("#events li[data-known='true']", has_text="Barack Obama").first
    expect(known).to_be_visible(timeout=60_000)
    expect(page.locator("#events .crops img.restored").first).to_be_visible(timeout=60_000)
    _shot(page, "live")
    known.locator("a.crops").click()
    expect(page.get_by_role("heading", name="Barack Obama")).to_be_visible()
    page.goto(f"{house}/events?restored=true")
    expect(page.locator(".sightings li").first).to_be_visible()
    _shot(page, "events")


def test_who_is_known_at_first_has_a_face(house: str, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 820})
    page.goto(f"{house}/people")
    for name in ("Barack Obama", "Joe Biden"):
        face = page.locator(".card", has_text=name).locator("img")
        expect(face).to_have_js_property("naturalWidth", 128)
    _shot(page, "people")
    page.get_by_role("link", name="Joe Biden").click()
    expect(page.get_by_role("img", name="Photo 1 of Joe Biden")).to_have_js_property("naturalWidth", 128)


def test_a_photo_that_is_sent_is_restored_and_named(house: str, page: Page, portraits: Path, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 1280, "height": 1020})
    (tmp_path / "blurred.png").write_bytes(encoded(moved(shrunk(portraits / "obama2.jpg"))))
    page.goto(f"{house}/photo")
    page.get_by_label("Photo", exact=True).set_input_files(tmp_path / "blurred.png")
    page.get_by_role("button", name="Unblur").click()
    face = page.get_by_role("list", name="Faces").get_by_role("listitem")
    expect(face).to_contain_text("Barack Obama")
    expect(face).to_contain_text(", restored")
    for crop in (face.get_by_role("img", name="Face 1, before"), face.get_by_role("img", name="Face 1, after")):
        expect(crop).not_to_have_js_property("naturalWidth", 0)
        expect(crop).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("slider")).to_be_visible()
    _shot(page, "photo")


def test_the_camera_and_what_works_on_its_pictures_are_listed(house: str, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 695})
    page.goto(f"{house}/health")
    camera = page.locator("#cameras tr")
    expect(camera).to_contain_text(re.compile("^demo.*Live"))
    expect(page.locator("#stages tr", has_text="recognise")).to_contain_text(re.compile(r"\d\.\d"), timeout=60_000)
    for network in ("yunet", "sface", "deblur"):
        expect(page.locator("#networks tr", has_text=network)).to_be_visible(timeout=60_000)
    expect(page.locator("#people")).to_have_text("2")
    _shot(page, "health")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_no_fault(house: str, browser: Browser, path: str, scheme: str) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{house}{path}")
    expect(page.locator("main")).to_be_visible()
    found = Axe().run(page).response["violations"]
    page.close()
    assert [(fault["id"], fault["impact"]) for fault in found] == []


@pytest.mark.parametrize("path", PAGES)
def test_no_page_scrolls_sideways_on_a_phone(house: str, browser: Browser, path: str) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(f"{house}{path}")
    expect(page.locator("main")).to_be_visible()
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert wide <= 360


def test_nothing_that_is_sent_makes_the_server_fail(data: Path, house: str, tmp_path: Path) -> None:
    """schemathesis over the whole OpenAPI document, as an operator."""
    of_a_run = shutil.ignore_patterns("*.sqlite*", "*.lock", "evidence")
    shutil.copytree(data / "demo", tmp_path / "demo", ignore=of_a_run)
    config = tmp_path / "config.yaml"
    config.write_text("web: {token: '${UNBLUR_TEST_TOKEN}'}", encoding="utf-8")
    with serving(tmp_path, "--demo", "--config", str(config), UNBLUR_TEST_TOKEN=TOKEN) as address:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert len(httpx.get(f"{address}/api/v1/openapi.json", headers=headers).json()["paths"]) > 15
        fuzz = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{address}/api/v1/openapi.json"]
        options = ["--checks", "not_a_server_error", "--max-examples", "10", "--seed", "1"]
        bearing = ["--header", f"Authorization: Bearer {TOKEN}"]
        done = subprocess.run([*fuzz, *options, *bearing], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Tested" in done.stdout
