"""Chromium before the pages: what a person sees is read back from the picture itself."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from configs.schema import Web
from stream.sources.factory import open_source
from stream.sources.live import LiveSource
from stream.sources.receiver import PushSource
from stream.sources.stream_spec import StreamSpec
from stream.values import Frame, Image
from tests.stream.support.events import an_event
from tests.unblur.notify.support.waiting import until
from tests.unblur.web.conftest import WITHIN_MS
from tests.unblur.web.support.serving import OPERATOR, PASSWORD, VIEWER, House, opened
from unblur.web.pages.live import LiveView

TOKEN = "a token of enough letters"
COLOURS = {"lobby": (200, 60, 40), "front door": (40, 180, 60)}
"""BGR."""
CAMERAS = [LiveSource(StreamSpec("rtsp://127.0.0.1:1/none"), name) for name in COLOURS]
"""Their pictures come from the tests."""
_MIDDLE = """shown => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [shown.videoWidth ?? shown.width, shown.videoHeight ?? shown.height];
    const context = canvas.getContext("2d");
    context.drawImage(shown, 0, 0);
    return [...context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3).reverse();
}"""


_HIDDEN = """() => {
    Object.defineProperty(document, "visibilityState", { value: "hidden" });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


class Film:
    """Shows one colour on each of the server's cameras."""

    def __init__(self, watching: LiveView) -> None:
        self._watching = watching
        self._stop = threading.Event()
        self.frozen = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for index in itertools.count():
            for camera, colour in COLOURS.items():
                image: Image = np.full((240, 320, 3), colour, np.uint8)
                if not self.frozen.is_set():
                    self._watching.show(Frame(camera, index, index, Fraction(1, 25), None, image), image)
            if self._stop.wait(1 / 25):
                return

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def watching() -> Iterator[LiveView]:
    served = opened(Web(port=0), CAMERAS)
    yield served
    served.close()


def camera(page: Page, name: str) -> Locator:
    return page.locator(".camera", has_text=name)


def test_every_camera_is_live(watching: LiveView, page: Page) -> None:
    with Film(watching):
        page.goto(watching.address)
        for name, colour in COLOURS.items():
            expect(camera(page, name).locator(".state")).to_have_text("Live", timeout=WITHIN_MS)
            assert camera(page, name).locator("video").evaluate(_MIDDLE) == pytest.approx(colour, abs=12)


def test_one_camera_can_be_watched_alone(watching: LiveView, page: Page) -> None:
    with Film(watching):
        page.goto(watching.address)
        lobby, door = (page.locator(f".camera[data-name='{name}']") for name in COLOURS)
        lobby.get_by_role("link", name="lobby").click()
        expect(door).to_be_hidden()
        expect(lobby).to_be_visible()
        page.reload()
        expect(lobby.get_by_role("link", name="lobby")).to_be_visible()
        expect(door).to_be_hidden()
        lobby.get_by_role("link", name="lobby").click()
        expect(door).to_be_visible()


def test_a_picture_that_stands_still_is_told(watching: LiveView, page: Page) -> None:
    with Film(watching) as film:
        page.goto(watching.address)
        state = camera(page, "lobby").locator(".state")
        expect(state).to_have_text("Live", timeout=WITHIN_MS)
        film.frozen.set()
        expect(state).to_have_text("Picture frozen", timeout=WITHIN_MS)
        film.frozen.clear()
        expect(state).to_have_text("Live", timeout=WITHIN_MS)


def test_a_camera_that_never_came_and_a_recording_that_has_ended_are_told(page: Page, portraits: Path) -> None:
    recording = open_source(str(portraits / "biden.jpg"), "file")
    served = opened(Web(port=0), [CAMERAS[0], recording])
    page.goto(served.address)
    expect(camera(page, "lobby").get_by_role("alert")).to_contain_text("Camera offline since")
    assert list(recording.frames())
    expect(camera(page, "file").get_by_role("alert")).to_have_text("Recording finished")
    expect(camera(page, "file").locator(".state")).to_be_hidden()
    served.close()


def test_events_are_listed_as_they_come(watching: LiveView, page: Page) -> None:
    watching.announcer.write(an_event(1, name="Ann Lee"))
    page.goto(watching.address)
    entries = page.get_by_role("log").get_by_role("listitem")
    expect(entries).to_have_count(1, timeout=WITHIN_MS)
    watching.announcer.write(an_event(2, name=None))
    expect(entries).to_have_count(2, timeout=WITHIN_MS)
    expect(entries.first).to_contain_text("Unknown Arrived · lobby")
    expect(entries.first).to_contain_text("Looks like a known person (0.63), but not certain")
    expect(entries.last).not_to_contain_text("not certain")
    expect(entries.last).to_contain_text("Ann Lee Arrived · lobby")
    expect(entries.last).to_contain_text("Strong match (0.63, needs 0.42)")


@contextmanager
def killable(port: int = 0) -> Iterator[str]:
    """The address of a server that dies without a word at the end."""
    command = [sys.executable, "-m", "tests.unblur.web.support.film_server", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.kill()


_WATCH_STATES = """() => {
    window.states = [];
    const note = () => window.states.push(document.querySelector(".camera").dataset.state);
    new MutationObserver(note).observe(document.getElementById("cameras"), { subtree: true, attributes: true });
}"""


def test_a_server_that_was_down_is_found_again(page: Page) -> None:
    served = opened(Web(port=0), CAMERAS)
    port = int(served.address.rsplit(":", 1)[1])
    with Film(served):
        page.goto(served.address)
        state = camera(page, "lobby").locator(".state")
        expect(state).to_have_text("Live", timeout=WITHIN_MS)
    served.close()
    expect(page.locator("#lost")).to_be_visible()
    expect(state).to_have_text("", timeout=WITHIN_MS)
    served = opened(Web(port=port), CAMERAS)
    with Film(served):
        expect(state).to_have_text("Live", timeout=WITHIN_MS)
        expect(page.locator("#lost")).to_be_hidden()
    served.close()


@pytest.mark.slow
def test_a_server_that_died_is_told_once_with_the_time_and_found_again(page: Page) -> None:
    lost, tiles = page.locator("#lost"), page.locator(".camera")
    with killable() as address:
        page.goto(address)
        for number in range(len(COLOURS)):
            expect(tiles.nth(number).locator(".state")).to_have_text("Live", timeout=WITHIN_MS)
        shown = tiles.first.locator("video").evaluate(_MIDDLE)
    expect(lost).to_contain_text(re.compile(r"Server not responding since \d+:\d\d"), timeout=WITHIN_MS)
    expect(tiles.first).to_have_attribute("data-state", "lost", timeout=WITHIN_MS)
    page.evaluate(_WATCH_STATES)
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/whep?size=grid"), timeout=30_000):
        pass  # a connection is tried again, the old one is closed
    for number in range(len(COLOURS)):
        expect(tiles.nth(number).locator(".rate")).to_have_text("")
        expect(tiles.nth(number).locator(".state")).to_have_text("")
    assert "live" not in page.evaluate("window.states")
    assert tiles.first.locator("canvas").evaluate(_MIDDLE) == pytest.approx(shown, abs=12)  # what was seen last
    assert float(tiles.first.locator("canvas").evaluate("each => getComputedStyle(each).opacity")) < 1
    with killable(int(address.rsplit(":", 1)[1])):
        expect(tiles.first.locator(".state")).to_have_text("Live", timeout=WITHIN_MS)
        expect(lost).to_be_hidden()


_WITHOUT_CANDIDATES = """() => {
    const real = RTCPeerConnection.prototype.setRemoteDescription;
    RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
        return real.call(this, { type, sdp: sdp.replace(/a=candidate.*\\r\\n/g, "") });
    };
}"""
"""As a network that lets no UDP through: nobody knows where to send a packet."""


def test_where_webrtc_cannot_pass_pictures_come_over_http_and_the_reason_is_shown(
    watching: LiveView, page: Page
) -> None:
    page.add_init_script(f"({_WITHOUT_CANDIDATES})()")
    with Film(watching) as film:
        page.goto(watching.address)
        for name, colour in COLOURS.items():
            tile = camera(page, name)
            expect(tile.locator(".state")).to_have_text("Live, over HTTP", timeout=WITHIN_MS)
            assert tile.locator("canvas").evaluate(_MIDDLE) == pytest.approx(colour, abs=12)
        expect(page.locator("#blocked")).to_contain_text("WebRTC found no UDP path")
        film.frozen.set()
        expect(camera(page, "lobby").locator(".state")).to_have_text("Picture frozen", timeout=WITHIN_MS)


def test_one_browser_too_many_is_told_so(page: Page, browser: Browser) -> None:
    served = opened(Web(port=0, viewers=1), CAMERAS)
    other = browser.new_page()
    with Film(served):
        page.goto(served.address)
        for name in COLOURS:  # two pictures of one browser are one viewer
            expect(camera(page, name).locator(".state")).to_have_text("Live", timeout=WITHIN_MS)
        other.goto(served.address)
        expect(camera(other, "lobby").locator(".state")).to_contain_text("1 viewers are connected", timeout=WITHIN_MS)
    other.close()
    served.close()


def test_what_nobody_sees_is_not_fetched(watching: LiveView, page: Page) -> None:
    with Film(watching):
        page.goto(watching.address)
        for name in COLOURS:
            expect(camera(page, name).locator(".state")).to_have_text("Live", timeout=WITHIN_MS)
        assert watching.viewers == len(COLOURS)
        small = camera(page, "lobby").locator("video").evaluate("video => video.videoWidth")
        page.locator(".camera[data-name='lobby'] .name").click()
        until(lambda: watching.viewers == 1)
        page.locator(".camera[data-name='lobby'] .name").click()
        until(lambda: watching.viewers == len(COLOURS))
        page.evaluate(_HIDDEN)
        until(lambda: watching.viewers == 0)
        assert small == 320


def test_overload_is_told(page: Page) -> None:
    def busy(route: Route) -> None:
        said = route.fetch().json()
        for each in said["cameras"]:
            each.update(state="live", fps=25.0, frame_age_s=0.1, searched_fps=2.1, delay_p95_s=3.25, samples_dropped=7)
        route.fulfill(json=said)

    served = opened(Web(port=0), CAMERAS)
    page.route("**/api/v1/cameras", busy)
    page.goto(served.address)
    alert = camera(page, "lobby").get_by_role("alert")
    expect(alert).to_contain_text("This computer searches 2 of 25 frames per second")
    expect(alert).to_contain_text("Names appear after 3.3 s. Faces not identified: 7.")
    page.unroute_all(behavior="ignoreErrors")
    served.close()


def test_only_operators_find_the_way_to_send(page: Page, house: House) -> None:
    def sign_in(name: str) -> None:
        page.goto(house.address)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()

    sign_in(VIEWER)
    expect(camera(page, "phone")).to_be_visible()
    expect(page.get_by_role("link", name="Use this device as a camera")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    sign_in(OPERATOR)
    page.get_by_role("link", name="Use this device as a camera").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()


@pytest.mark.parametrize("width", [320, 360])
def test_sending_fits_a_phone(page: Page, width: int) -> None:
    guest = PushSource("phone")
    served = opened(Web(port=0), [guest])
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(f"{served.address}/send?camera=phone")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_have_text("Sending", timeout=WITHIN_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    served.close()
    guest.close()


def test_the_token_is_asked_for(page: Page) -> None:
    served = opened(Web(port=0, token=TOKEN), CAMERAS)
    with Film(served):
        page.goto(served.address)
        page.get_by_label("Enter the access token").fill("a wrong token, long enough")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Enter the access token").fill(TOKEN)
        page.get_by_role("button", name="Continue").click()
        expect(camera(page, "lobby").locator(".state")).to_have_text("Live", timeout=WITHIN_MS)
        expect(page.get_by_label("Enter the access token")).to_be_hidden()
    served.close()


def test_a_browser_as_camera(page: Page) -> None:
    guest = PushSource("phone")
    served = opened(Web(port=0), [guest])
    page.goto(f"{served.address}/send?camera=phone")
    page.get_by_role("button").click()
    frames = guest.frames()
    seen = [next(frames) for _ in range(10)]
    assert seen[-1].image.shape[2] == 3
    assert seen[-1].image.std() > 10  # Chromium's test picture, no blank
    assert seen[-1].pts > seen[0].pts
    expect(page.get_by_role("status")).to_have_text("Sending", timeout=WITHIN_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_have_text("Stopped")
    served.close()
    guest.close()
