"""How everything is, asked of a run over a real camera, through HTTP and in Chromium."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from stream.threads import SupervisedThread
from stream.webrtc import peers
from tests.unblur.notify.support.waiting import until
from tests.unblur.web.support.running import CAMERA, House, house
from tests.unblur.web.support.serving import OPERATOR, PASSWORD
from unblur import __version__

CHROMIUM = shutil.which("chromium")
TOKEN = "a token of enough letters"
WITHIN_MS = 20_000


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, portraits: Path) -> Iterator[House]:
    """A server whose camera has seen a person."""
    with house(tmp_path_factory.mktemp("house"), portraits / "astronaut.png") as running:
        running.start()
        running.until_seen()
        yield running


@pytest.fixture
def report(seen: House) -> Any:
    return httpx.get(f"{seen.address}/api/v1/health").raise_for_status().json()


def test_it_is_ready_while_its_pipeline_runs(tmp_path: Path, portraits: Path) -> None:
    with house(tmp_path, portraits / "astronaut.png", TOKEN) as running:
        ready = f"{running.address}/readyz"
        assert httpx.get(f"{running.address}/healthz").status_code == 200
        early = httpx.get(ready)
        assert (early.status_code, early.json()["ready"]) == (503, False)
        assert "no pipeline is at work" in early.json()["why"]
        running.start()
        until(lambda: httpx.get(ready).status_code == 200)
        running.stop()
        assert httpx.get(ready).status_code == 503
        assert httpx.get(f"{running.address}/healthz").status_code == 200
        for path in ("/api/v1/health", "/health", "/metrics"):
            assert httpx.get(running.address + path).status_code == 401
            bearing = {"Authorization": f"Bearer {TOKEN}"}
            assert httpx.get(running.address + path, headers=bearing).status_code == 200


def test_a_thread_that_failed_is_not_ready_and_is_counted(seen: House) -> None:
    """The retention job, for one, once died of a limit of 1e9 days without a word."""
    thread = SupervisedThread("faulty", _fail, first_retry_s=3600)
    assert httpx.get(f"{seen.address}/readyz").status_code == 200
    thread.start()
    try:
        until(lambda: httpx.get(f"{seen.address}/readyz").status_code == 503)
        assert "the thread faulty failed" in httpx.get(f"{seen.address}/readyz").json()["why"]
        assert 'unblur_thread_restarts_total{thread="faulty"} 1.0' in httpx.get(f"{seen.address}/metrics").text
    finally:
        thread.close()
    assert httpx.get(f"{seen.address}/readyz").status_code == 200


def _fail() -> None:
    raise OverflowError("date value out of range")


def test_cameras_and_stages(report: Any) -> None:
    (camera,) = report["cameras"]
    assert (camera["name"], camera["state"]) == (CAMERA, "live")
    assert camera["fps"] > 1
    assert 0 <= camera["frame_age_s"] < 1.5
    assert camera["searched_fps"] > 0
    assert 0 < camera["delay_p95_s"] < 60
    assert camera["samples_dropped"] >= 0
    stages = {stage["name"]: stage for stage in report["stages"]}
    assert {"detect", "track", "crop", "deblur", "recognise", "log"} <= stages.keys()
    assert 0 < stages["detect"]["p50_ms"] <= stages["detect"]["p95_ms"]
    assert all(stage["dropped"] >= 0 for stage in stages.values())


def test_each_network_with_its_backend_and_why_not_another(report: Any) -> None:
    networks = {network["name"]: network for network in report["networks"]}
    assert networks.keys() == {"yunet", "sface", "deblur"}
    for network in networks.values():
        chain = ["tensorrt", "tensorrt-rtx", "cuda", "onnxruntime", "openvino"]
        assert list(network["passed_over"]) == chain[: chain.index(network["backend"])]
        assert all(network["passed_over"].values())


def test_disk_people_viewers_version(report: Any) -> None:
    disk = {space["name"]: space for space in report["disk"]}
    assert disk.keys() == {"events", "evidence"}
    assert disk["events"]["size"] > 4096
    assert all(space["free"] > 0 for space in disk.values())
    assert (report["people"], report["viewers"], report["version"]) == (0, 0, __version__)
    assert (report["ready"], report["why"]) == (True, None)
    began = datetime.fromisoformat(report["started"])
    assert 0 < report["uptime_s"] <= (datetime.now(UTC) - began).total_seconds()


def test_what_stands_in_the_way_of_a_notification(report: Any) -> None:
    (hook,) = report["notifications"]
    assert (hook["name"], hook["told"], hook["lost"]) == ("hook", 0, 0)
    assert report["status"] == "degraded"
    (problem,) = (problem for problem in report["problems"] if problem["about"] == "hook")
    assert problem["what"].startswith("hook: events are not delivered: ")
    assert problem["remedy"]


def test_the_live_page_is_told_the_same(seen: House) -> None:
    (camera,) = httpx.get(f"{seen.address}/api/v1/cameras").raise_for_status().json()["cameras"]
    assert camera["searched_fps"] > 0
    assert camera["delay_p95_s"] > 0
    assert camera["samples_dropped"] >= 0


def test_no_secret_leaves(seen: House) -> None:
    for path in ("/api/v1/health", "/health", "/metrics", "/readyz"):
        assert "s3cret" not in httpx.get(seen.address + path).raise_for_status().text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_a_camera_that_was_never_there_is_a_worry(tmp_path: Path, portraits: Path) -> None:
    with (
        house(tmp_path, portraits / "astronaut.png", path="/gone.mjpg") as running,
        sync_playwright() as playwright,
    ):
        running.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{running.address}/health")
        camera = page.get_by_role("region", name="Cameras").get_by_role("row", name=CAMERA)
        expect(camera).to_contain_text("404", timeout=WITHIN_MS)
        expect(camera).to_contain_text("Connecting")
        expect(camera).to_have_attribute("data-worry", "true")
        expect(page.get_by_role("status")).to_have_text(re.compile(f'problems?: "{CAMERA}" is offline'))
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_the_page_shows_a_camera_that_stalls(seen: House) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page, faults = browser.new_page(), []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(f"{seen.address}/")
        page.get_by_role("link", name="Health").click()
        camera = page.get_by_role("region", name="Cameras").get_by_role("row", name=CAMERA)
        expect(camera).to_contain_text("Live", timeout=WITHIN_MS)
        expect(page.get_by_role("status")).to_have_text(re.compile("problems?: .*hook"), timeout=WITHIN_MS)
        expect(page.get_by_role("region", name="Problems")).to_contain_text("hook: events are not delivered")
        seen.stalled.set()
        expect(camera).to_contain_text("Picture frozen", timeout=WITHIN_MS)
        expect(page.get_by_role("status")).to_have_text(re.compile(f'problems: "{CAMERA}" is offline.*hook'))
        expect(camera).to_contain_text("Reconnecting", timeout=WITHIN_MS)
        seen.stalled.clear()
        expect(camera).to_contain_text("Live", timeout=WITHIN_MS)
        reconnections = camera.get_by_role("cell").nth(8)
        expect(reconnections).to_have_text("1")
        for table in ("Stages", "Networks", "Disk", "Notifications"):
            expect(page.get_by_role("region", name=table).get_by_role("row").nth(1)).to_be_visible()
        expect(page.locator("#version")).to_have_text(__version__)
        page.set_viewport_size({"width": 360, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        browser.close()
    assert not faults


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_a_peer_that_never_connects_is_told_of_with_the_layer_that_failed(
    seen: House, offer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> Any:
        return httpx.get(f"{seen.address}/api/v1/health").json()["lost_peers"]

    monkeypatch.setattr(peers, "_CONNECTED_WITHIN_S", 0.1)
    path = f"{seen.address}/{quote(CAMERA)}/whep"
    assert httpx.post(path, content=offer, headers={"Content-Type": "application/sdp"}).status_code == 201
    until(lambda: bool(lost()))
    (peer,) = lost()
    assert (peer["kind"], peer["camera"]) == ("viewer", CAMERA)
    assert peer["problem"].startswith("ICE: no way for UDP")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{seen.address}/health")
        expect(page.locator("#peers tr")).to_contain_text(peer["problem"], timeout=WITHIN_MS)
        browser.close()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_the_page_learns_that_others_may_no_longer_look(tmp_path: Path, portraits: Path) -> None:
    with house(tmp_path, portraits / "astronaut.png") as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{running.address}/health")
        expect(page.locator("#version")).to_have_text(__version__, timeout=WITHIN_MS)
        running.accounts.add(OPERATOR, PASSWORD, "operator")
        page.wait_for_url("**/login?next=%2Fhealth", timeout=WITHIN_MS)
        browser.close()
