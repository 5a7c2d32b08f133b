"""The server as clients see it: over HTTP, with a real peer connection behind it."""

from __future__ import annotations

import asyncio
import itertools
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from configs.schema import Web
from stream.errors import OutputError
from stream.sources.factory import open_source
from stream.sources.live import LiveSource
from stream.sources.receiver import PushSource
from stream.sources.stream_spec import StreamSpec
from stream.values import Frame
from tests.unblur.web.support.serving import opened
from unblur.web.pages.live import LiveView

TOKEN = "a token of enough letters"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"}
CAMERA = "front door"
UNREACHED = LiveSource(StreamSpec("rtsp://viewer:s3cret@127.0.0.1:1/none"), CAMERA)
"""Its pictures come from the test."""
WHEP = "/front%20door/whep"
WITHIN_S = 30


@contextmanager
def filming(**settings: object) -> Iterator[LiveView]:
    """A server with one camera, whose pictures keep coming."""
    watching, stop = opened(Web.model_validate({"port": 0, **settings}), [UNREACHED]), threading.Event()

    def film() -> None:
        image = np.full((120, 160, 3), 90, np.uint8)
        for index in itertools.count():
            watching.show(Frame(CAMERA, index, index, Fraction(1, 25), None, image), image)
            if stop.wait(1 / 25):
                return

    thread = threading.Thread(target=film)
    thread.start()
    try:
        yield watching
    finally:
        stop.set()
        thread.join()
        watching.close()


@pytest.fixture
def filmed(request: pytest.FixtureRequest) -> Iterator[LiveView]:
    with filming(**getattr(request, "param", {})) as watching:
        yield watching


@pytest.fixture
def client(filmed: LiveView) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=filmed.address) as asking:
        yield asking


def test_a_session_from_its_offer_to_its_end(client: httpx.Client, offer: str) -> None:
    answer = client.post(WHEP, content=offer, headers=SDP)
    assert answer.status_code == 201
    assert answer.headers["Content-Type"].startswith("application/sdp")
    assert answer.headers["ETag"] == "*"
    assert answer.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert answer.headers["Access-Control-Expose-Headers"] == "ETag, ID, Accept-Patch, Link, Location"
    location = answer.headers["Location"]
    assert location.startswith(f"{WHEP}/")
    assert answer.headers["ID"] not in location
    assert "a=sendonly" in answer.text
    fragment = "a=ice-ufrag:abcd\r\nm=video 9 X 0\r\na=mid:0\r\na=candidate:1 1 udp 99 127.0.0.1 9 typ host\r\n"
    assert client.patch(location, content=fragment, headers=FRAGMENT).status_code == 204
    assert client.patch(location, content=fragment, headers=SDP).status_code == 400
    assert client.patch(location, content="a=candidate:what", headers=FRAGMENT).status_code == 400
    assert client.delete(location).status_code == 200
    assert client.delete(location).status_code == 404
    assert client.patch(location, content=fragment, headers=FRAGMENT).status_code == 404


def test_an_offer_may_come_in_pieces(filmed: LiveView, offer: str) -> None:
    host, port = filmed.address.removeprefix("http://").split(":")
    body, middle = offer.encode(), len(offer) // 2
    head = (
        f"POST {WHEP} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), WITHIN_S) as asking:
        asking.sendall(head.encode() + body[:middle])
        answered_early, _, _ = select.select([asking], [], [], 0.3)
        assert not answered_early
        asking.sendall(body[middle:])
        assert asking.recv(64).startswith(b"HTTP/1.1 201")


def test_sessions_cannot_be_guessed(client: httpx.Client, offer: str) -> None:
    ids = {client.post(WHEP, content=offer, headers=SDP).headers["Location"].split("/")[-1] for _ in range(3)}
    assert len(ids) == 3
    assert min(map(len, ids)) >= 32


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status"),
    [
        ("POST", WHEP, "hello", SDP, 400),
        ("POST", WHEP, "", SDP, 400),
        ("POST", WHEP, "v=0", {"Content-Type": "text/plain"}, 400),
        ("POST", WHEP, "v" * 70_000, SDP, 413),
        ("POST", "/attic/whep", None, SDP, 404),
        ("GET", WHEP, "", {}, 405),
        ("HEAD", WHEP, "", {}, 405),
        ("PUT", WHEP, "", {}, 405),
        ("DELETE", WHEP, "", {}, 405),
        ("GET", f"{WHEP}/abc", "", {}, 405),
        ("OPTIONS", WHEP, "", {}, 204),
        ("GET", "/static/../guard.py", "", {}, 404),
        ("GET", "/static/%2e%2e/guard.py", "", {}, 404),
        ("GET", "/nothing", "", {}, 404),
    ],
)
def test_what_is_wrong_is_told(
    client: httpx.Client, offer: str, method: str, path: str, content: str | None, headers: dict[str, str], status: int
) -> None:
    answer = client.request(method, path, content=offer if content is None else content, headers=headers)
    assert answer.status_code == status
    if status >= 400 and method != "HEAD":
        assert answer.json()["error"]


def test_cameras_are_listed_with_their_state(client: httpx.Client) -> None:
    answer = client.get("/api/v1/cameras")
    (camera,) = answer.json()["cameras"]
    assert (camera["name"], camera["whep"], camera["state"]) == (CAMERA, WHEP, "connecting")
    assert camera["frame_age_s"] is None
    assert camera["dropped"] == camera["reconnects"] == camera["fps"] == 0
    assert datetime.fromisoformat(camera["since"]).tzinfo is not None
    assert camera["whip"] is None
    assert "s3cret" not in answer.text


def test_guests_are_listed_with_where_to_send() -> None:
    served = opened(Web(port=0), [PushSource("phone")])
    (camera,) = httpx.get(f"{served.address}/api/v1/cameras").json()["cameras"]
    assert camera["whip"] == "/phone/whip"
    served.close()


@pytest.mark.parametrize("name", ["front%20door", "attic", ""])
def test_a_camera_that_is_no_guests_is_not_sent(client: httpx.Client, name: str) -> None:
    page = client.get(f"/send?camera={name}").text
    assert "accepts video from a browser" in page
    assert "<button" not in page


def test_a_recording_is_listed_until_its_end_and_after(portraits: Path) -> None:
    recording = open_source(str(portraits / "biden.jpg"), "file")
    served = opened(Web(port=0), [recording])
    states = []
    for _ in range(2):
        (camera,) = httpx.get(f"{served.address}/api/v1/cameras").json()["cameras"]
        states.append(camera["state"])
        assert camera["since"] is None
        assert list(recording.frames())
    served.close()
    assert states == ["recording", "ended"]


def test_the_page_allows_itself_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    for file in ("live_page.js", "whep.js", "unblur.css"):
        assert client.get(f"/static/{file}").status_code == 200


def test_other_sites_are_kept_out_where_no_token_is_set(client: httpx.Client) -> None:
    assert client.get("/api/v1/cameras", headers={"Host": "rebound.example:8080"}).status_code == 403
    preflight = client.options(WHEP, headers={"Origin": "http://elsewhere.example"})
    assert "Access-Control-Allow-Origin" not in preflight.headers


@pytest.mark.parametrize("filmed", [{"token": TOKEN}], indirect=True)
def test_a_token_is_asked_for_where_one_is_set(client: httpx.Client, offer: str) -> None:
    refused = client.post(WHEP, content=offer, headers=SDP)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert client.get("/api/v1/cameras").status_code == 401
    assert client.get("/api/v1/cameras", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/").status_code == 200
    preflight = client.options(WHEP, headers={"Origin": "http://elsewhere.example"})
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    bearing = {"Authorization": f"Bearer {TOKEN}", "Host": "cameras.example"}
    answer = client.post(WHEP, content=offer, headers=SDP | bearing)
    assert answer.status_code == 201
    assert client.delete(answer.headers["Location"]).status_code == 200  # as a page does that is being closed


@pytest.mark.parametrize("filmed", [{"viewers": 1}], indirect=True)
def test_there_are_not_more_viewers_than_there_may_be(client: httpx.Client, offer: str) -> None:
    assert client.post(WHEP, content=offer, headers=SDP).status_code == 201
    assert client.post(WHEP, content=offer, headers=SDP).status_code == 503


def test_an_offer_that_would_cost_too_much_is_refused_at_once(client: httpx.Client, offer: str) -> None:
    media = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{}\r\na=rtpmap:96 VP8/90000\r\na=recvonly\r\n"
    hostile = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" + "".join(map(media.format, range(180)))
    refused = client.post(WHEP, content=hostile, headers=SDP)
    assert refused.status_code == 400
    assert "media descriptions, more than the 8 that are answered" in refused.json()["error"]
    fragment = 70 * "a=candidate:1 1 udp 99 127.0.0.1 9 typ host\r\n"
    location = client.post(WHEP, content=offer, headers=SDP).headers["Location"]
    too_many = client.patch(location, content=fragment, headers=FRAGMENT)
    assert too_many.status_code == 400
    assert "more than the 64 that are tried" in too_many.json()["error"]


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match=rf"http://127\.0\.0\.1:{port} cannot be served: .*take another --port"):
            opened(Web(port=port), [UNREACHED])


def test_pictures_come_until_the_end_which_viewers_are_told() -> None:
    async def test() -> None:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTransceiver("video", direction="recvonly")
        tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        connection.on("track", tracks.put_nowait)
        await connection.setLocalDescription(await connection.createOffer())
        with filming() as watching:
            async with httpx.AsyncClient(base_url=watching.address) as client:
                answer = await client.post(WHEP, content=connection.localDescription.sdp, headers=SDP)
            await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            track = await tracks.get()
            frame = await track.recv()
            assert isinstance(frame, VideoFrame)
            assert frame.to_ndarray(format="bgr24").mean() == pytest.approx(90, abs=3)
        with suppress(MediaStreamError):  # else the test's time is up
            while True:
                await track.recv()
        await connection.close()

    asyncio.run(asyncio.wait_for(test(), WITHIN_S))
