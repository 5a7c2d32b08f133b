"""Cameras as JPEG pictures over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import cv2
import httpx2 as httpx
import numpy as np
import pytest

from tests.unblur.notify.support.waiting import until
from tests.unblur.web.pages.test_live import CAMERA, SDP, TOKEN, WHEP, filming
from tests.unblur.web.support.serving import OPERATOR, VIEWER, House
from unblur.web.pages.live import LiveView
from unblur.web.streaming import mjpeg

PATH = f"/{quote(CAMERA)}/mjpeg"


@pytest.fixture
def filmed(request: pytest.FixtureRequest) -> Iterator[LiveView]:
    with filming(**getattr(request, "param", {})) as watching:
        yield watching


@contextmanager
def reading(
    address: str, path: str, **more: object
) -> Iterator[tuple[httpx.Response, Iterator[tuple[str, np.ndarray]]]]:
    """The answer, and the parts of it: camera and picture."""
    with httpx.stream("GET", address + path, timeout=30, **more) as answer:  # type: ignore[arg-type]
        yield answer, _parts(answer.iter_bytes())


def _parts(chunks: Iterator[bytes]) -> Iterator[tuple[str, np.ndarray]]:
    held = b""
    for chunk in chunks:
        held += chunk
        while b"\r\n\r\n" in held:
            head, _, rest = held.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().strip().splitlines()[1:])
            length = int(fields["Content-Length"])
            if len(rest) < length + 2:
                break
            picture = cv2.imdecode(np.frombuffer(rest[:length], np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            held = rest[length + 2 :]
            yield fields["X-Camera"], picture


def test_pictures_keep_coming(filmed: LiveView) -> None:
    with reading(filmed.address, PATH) as (answer, parts):
        assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=picture"
        assert answer.headers["X-Accel-Buffering"] == "no"
        for _ in range(3):
            name, picture = next(parts)
            assert name == quote(CAMERA)
            assert picture.shape == (120, 160, 3)
            assert picture.mean() == pytest.approx(90, abs=3)


def test_several_cameras_come_in_one_answer() -> None:
    with filming() as served, reading(served.address, f"/api/v1/mjpeg?camera={quote(CAMERA)}&size=grid") as (_, parts):
        assert next(parts)[1].shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("path", "status"), [("/attic/mjpeg", 404), ("/api/v1/mjpeg?camera=attic", 404), ("/api/v1/mjpeg", 400)]
)
def test_what_is_wrong_is_told(filmed: LiveView, path: str, status: int) -> None:
    answer = httpx.get(filmed.address + path)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize("filmed", [{"token": TOKEN}], indirect=True)
def test_they_are_for_whoever_may_watch(filmed: LiveView) -> None:
    assert httpx.get(filmed.address + PATH).status_code == 401
    with reading(filmed.address, PATH, headers={"Authorization": f"Bearer {TOKEN}"}) as (answer, parts):
        assert answer.status_code == 200
        assert next(parts)


@pytest.mark.parametrize("filmed", [{"viewers": 1}], indirect=True)
def test_a_browser_counts_once_however_it_watches(filmed: LiveView, offer: str) -> None:
    with httpx.Client(base_url=filmed.address) as browser, httpx.Client(base_url=filmed.address) as other:
        for each in (browser, other):
            each.get("/")  # the page, which says which browser it is
        assert browser.post(WHEP, content=offer, headers=SDP).status_code == 201
        assert browser.post(WHEP, content=offer, headers=SDP).status_code == 201
        with browser.stream("GET", PATH) as answer:
            assert answer.status_code == 200
        for refused in (other.post(WHEP, content=offer, headers=SDP), other.get(PATH)):
            assert refused.status_code == 503
            assert refused.headers["Retry-After"] == "15"
            assert "1 viewers are connected" in refused.json()["error"]


def test_nothing_is_made_once_nobody_reads(filmed: LiveView) -> None:
    with reading(filmed.address, PATH) as (_, parts):
        assert next(parts)
    until(lambda: filmed._broadcasts[CAMERA]._viewers == 0)


def test_it_ends_with_the_session(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mjpeg, "LOOK_S", 0.1)
    visitor = house.visitor(VIEWER)
    with visitor.stream("GET", "/phone/mjpeg") as answer:
        assert answer.status_code == 200
        operator = house.visitor(OPERATOR)
        operator.submit("/users/remove", name=VIEWER)
        assert list(answer.iter_bytes()) == []
