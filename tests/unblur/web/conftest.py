"""Fixtures of the pages' tests: Chromium, servers with accounts, and a known person."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from playwright.sync_api import Browser, Page, expect, sync_playwright

from models.assets.fetch import fingerprint
from recognize.gallery.people_gallery import Gallery, load_gallery
from stream.sources.receiver import PushSource
from tests.unblur.web.support.serving import OPERATOR, PASSWORD, QUICK, VIEWER, House
from unblur.app_database import application_database
from unblur.web.auth.accounts import Accounts

CHROMIUM = shutil.which("chromium")
WITHIN_MS = 20_000
expect.set_options(timeout=WITHIN_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """With a camera that shows a test picture. Not longer than a module: its loop leaves room for no other."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which nothing goes wrong."""
    opened, faults = browser.new_page(), []
    opened.set_default_timeout(WITHIN_MS)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    yield opened
    opened.close()
    assert not faults


@pytest.fixture(scope="session")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data with an operator and a viewer."""
    folder = tmp_path_factory.mktemp("staffed")
    engine = application_database(folder)
    accounts = Accounts(engine, QUICK)
    accounts.add(OPERATOR, PASSWORD, "operator")
    accounts.add(VIEWER, PASSWORD, "viewer")
    engine.dispose()
    return folder


@pytest.fixture
def house(request: pytest.FixtureRequest, staffed: Path, tmp_path: Path) -> Iterator[House]:
    """With two accounts, a camera that is a guest's, and perhaps a token."""
    shutil.copytree(staffed, tmp_path / "data")
    guest = PushSource("phone")
    made = House(tmp_path / "data", [guest], getattr(request, "param", None))
    yield made
    made.close()
    guest.close()


@pytest.fixture
def empty_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Where nobody has an account."""
    guest = PushSource("phone")
    made = House(tmp_path, [guest], getattr(request, "param", None))
    yield made
    made.close()
    guest.close()


@pytest.fixture(scope="session")
def known(gallery: Path) -> Gallery:
    """Barack Obama."""
    return load_gallery(gallery, fingerprint("sface"))


@pytest.fixture(scope="session")
def offer() -> str:
    """What a browser that wants to watch sends."""

    async def make() -> str:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTransceiver("video", direction="recvonly")
        connection.addTransceiver("audio", direction="recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        sdp = str(connection.localDescription.sdp)
        await connection.close()
        return sdp

    return asyncio.run(make())
