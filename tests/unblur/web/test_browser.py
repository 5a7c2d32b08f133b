"""Chromium before the pages: what a person sees is read back from the picture itself."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from configs.schema import Web
from stream.capture import Capture
from stream.data import Frame, Image
from stream.feed import Feed
from stream.guest import Guest
from stream.source import open_source
from tests.stream.events import an_event
from tests.unblur.web.conftest import WITHIN_MS
from tests.unblur.web.serving import opened
from unblur.web.watching import Watching

TOKEN = "a token of enough letters"
COLOURS = {"lobby": (200, 60, 40), "front door": (40, 180, 60)}
"""BGR."""
CAMERAS = [Capture(Feed("rtsp://127.0.0.1:1/none"), name) for name in COLOURS]
"""Their pictures come from the tests."""
_MIDDLE = """video => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    return [...context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3).reverse();
}"""


class Film:
    """Shows one colour on each of the server's cameras."""

    def __init__(self, watching: Watching) -> None:
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
def watching() -> Iterator[Watching]:
    served = opened(Web(port=0), CAMERAS)
    yield served
    served.close()


def camera(page: Page, name: str) -> Locator:
    return page.locator(".camera", has_text=name)


def test_every_camera_is_live(watching: Watching, page: Page) -> None:
    with Film(watching):
        page.goto(watching.address)
        for name, colour in COLOURS.items():
            expect(camera(page, name).locator(".state")).to_have_text("live", timeout=WITHIN_MS)
            assert camera(page, name).locator("video").evaluate(_MIDDLE) == pytest.approx(colour, abs=12)


def test_one_camera_can_be_watched_alone(watching: Watching, page: Page) -> None:
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


def test_a_picture_that_stands_still_is_told(watching: Watching, page: Page) -> None:
    with Film(watching) as film:
        page.goto(watching.address)
        state = camera(page, "lobby").locator(".state")
        expect(state).to_have_text("live", timeout=WITHIN_MS)
        film.frozen.set()
        expect(state).to_have_text("no new picture", timeout=WITHIN_MS)
        film.frozen.clear()
        expect(state).to_have_text("live", timeout=WITHIN_MS)


def test_a_camera_that_never_came_and_a_recording_that_has_ended_are_told(page: Page, portraits: Path) -> None:
    recording = open_source(str(portraits / "biden.jpg"), "file")
    served = opened(Web(port=0), [CAMERAS[0], recording])
    page.goto(served.address)
    expect(camera(page, "lobby").get_by_role("alert")).to_contain_text("no connection to the camera since")
    assert list(recording.frames())
    expect(camera(page, "file").get_by_role("alert")).to_have_text("the recording has ended")
    expect(camera(page, "file").locator(".state")).to_be_hidden()
    served.close()


def test_events_are_listed_as_they_come(watching: Watching, page: Page) -> None:
    watching.announcer.write(an_event(1, name="Ann Lee"))
    page.goto(watching.address)
    entries = page.get_by_role("log").get_by_role("listitem")
    expect(entries).to_have_count(1, timeout=WITHIN_MS)
    watching.announcer.write(an_event(2, name=None))
    expect(entries).to_have_count(2, timeout=WITHIN_MS)
    expect(entries.first).to_contain_text("unknown is here, lobby")
    expect(entries.first).to_contain_text("Over the threshold, but not named")
    expect(entries.last).not_to_contain_text("but not named")
    expect(entries.last).to_contain_text("Ann Lee is here, lobby")
    expect(entries.last).to_contain_text("0.63 of 0.42")


def test_a_server_that_was_down_is_found_again(page: Page) -> None:
    served = opened(Web(port=0), CAMERAS)
    port = int(served.address.rsplit(":", 1)[1])
    with Film(served):
        page.goto(served.address)
        state = camera(page, "lobby").locator(".state")
        expect(state).to_have_text("live", timeout=WITHIN_MS)
    served.close()
    expect(state).to_have_text("connection lost, trying again …", timeout=WITHIN_MS)
    served = opened(Web(port=port), CAMERAS)
    with Film(served):
        expect(state).to_have_text("live", timeout=WITHIN_MS)
    served.close()


def test_the_token_is_asked_for(page: Page) -> None:
    served = opened(Web(port=0, token=TOKEN), CAMERAS)
    with Film(served):
        page.goto(served.address)
        page.get_by_label("This page needs its token.").fill("a wrong token, long enough")
        page.get_by_role("button", name="Watch").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("This page needs its token.").fill(TOKEN)
        page.get_by_role("button", name="Watch").click()
        expect(camera(page, "lobby").locator(".state")).to_have_text("live", timeout=WITHIN_MS)
        expect(page.get_by_label("This page needs its token.")).to_be_hidden()
    served.close()


def test_a_browser_as_camera(page: Page) -> None:
    guest = Guest("phone")
    served = opened(Web(port=0), [guest])
    page.goto(f"{served.address}/send?camera=phone")
    page.get_by_role("button").click()
    frames = guest.frames()
    seen = [next(frames) for _ in range(10)]
    assert seen[-1].image.shape[2] == 3
    assert seen[-1].image.std() > 10  # Chromium's test picture, no blank
    assert seen[-1].pts > seen[0].pts
    expect(page.get_by_role("status")).to_have_text("sending", timeout=WITHIN_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_have_text("stopped")
    served.close()
    guest.close()
