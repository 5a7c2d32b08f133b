"""The whole way: a real RTSP camera, the running command, and Chromium, whose canvas gives the name back."""

from __future__ import annotations

import base64
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from models.assets.fetch import fetch_typefaces
from stream.outputs.overlay import KNOWN, WHITE
from stream.outputs.text import TextRenderer
from stream.values import Image
from tests.stream.support.rtsp import RtspServer, why_not

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
WITHIN_S = 60.0
ALIKE = 0.8
"""Correlation of the plate as drawn with the plate as seen, behind the codec."""
NAME = "Barack_Obama"
_PICTURE = """video => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    return canvas.toDataURL("image/png");
}"""


@pytest.fixture
def address(demo: Path, tmp_path: Path) -> Iterator[str]:
    """Of the page of an `unblur run` that watches the demo's film, over and over, as a camera."""
    if reason := why_not():
        pytest.skip(reason)
    said = tmp_path / "said.txt"
    with RtspServer(film=demo / "camera.mp4") as camera, said.open("wb") as writing:
        command = [sys.executable, "-m", "unblur", "run", f"lobby={camera.address('film')}"]
        command += ["--gallery", str(demo / "people.joblib"), "--output", "webrtc", "--port", "0"]
        process = subprocess.Popen(command, stdout=writing, stderr=writing)
        try:
            yield _until_said(process, said)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(WITHIN_S) == 130


def _until_said(process: subprocess.Popen[bytes], said: Path) -> str:
    deadline = time.monotonic() + WITHIN_S
    while not (found := re.search(r"Open (\S+)", said.read_text(encoding="utf-8"))):
        assert process.poll() is None, said.read_text(encoding="utf-8")
        assert time.monotonic() < deadline, said.read_text(encoding="utf-8")
        time.sleep(0.1)  # between looks at a file, not for the program's sake
    return found[1]


def seen(page: Page) -> Image:
    encoded = page.locator("video").evaluate(_PICTURE).partition(",")[2]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def plate(height: int) -> Image:
    """The name as the overlay letters it, without the room at the plate's ends."""
    size = height // 40
    drawn = TextRenderer(fetch_typefaces()).line(NAME, size, WHITE, KNOWN)
    return np.ascontiguousarray(drawn[:, size // 3 : -(size // 3)])


def test_the_right_name_is_on_the_picture_that_chromium_shows(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector('[data-state="live"]', timeout=WITHIN_S * 1000)
        deadline, best = time.monotonic() + WITHIN_S, 0.0
        while best < ALIKE:
            assert time.monotonic() < deadline, f"no {NAME} on the picture: {best:.2f} alike at best"
            picture = seen(page)
            assert picture.shape[0] == 720
            best = max(best, float(cv2.matchTemplate(picture, plate(720), cv2.TM_CCOEFF_NORMED).max()))
        expect(page.get_by_role("log")).to_contain_text(f"{NAME.replace('_', ' ')} Arrived · lobby")
        browser.close()
