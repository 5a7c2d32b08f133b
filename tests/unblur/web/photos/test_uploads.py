"""Uploads, sent to a running server as strangers send them: right, wrong and hostile."""

from __future__ import annotations

import io
import multiprocessing
import select
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2 as httpx
import numpy as np
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from configs.schema import Web
from stream.values import Image
from tests.unblur.web.support.serving import OPERATOR, VIEWER, House, Visitor, opened
from tests.unblur.web.support.sockets import answer, connected, head
from unblur.web.pages.live import LiveView
from unblur.web.photos.image_decoder import FORMATS, SCANS, Decoder
from unblur.web.photos.uploads import Uploads, to_display_name
from unblur.web.transport.openapi import Endpoint
from unblur.web.transport.request_body import MinimumRate

PATH = "/upload"
MOST = 3
RGB = np.full((40, 60, 3), (250, 130, 10), np.uint8)
RGB[:20, :30] = (10, 20, 240)
HEADS = {
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": b"GIF89a",
    "BMP": b"BM",
    "WEBP": b"RIFF\x40\x00\x00\x00WEBPVP8 ",
}


class Desk:
    """A page that takes pictures, and says what it has got."""

    name, path = "live", None

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.post(PATH, self._post)]

    def operations(self) -> list[Endpoint]:
        return []

    async def _post(self, request: web.Request) -> web.Response:
        got = await self._uploads.pictures(request, "photo", MOST, long_side=100)
        said = [{"name": each.name, "fault": each.fault, "image": _described(each.image)} for each in got]
        return web.json_response(said)


def _described(image: Image | None) -> object:
    return None if image is None else {"shape": image.shape, "first": image[0, 0].tolist()}


@contextmanager
def desk(**limits: object) -> Iterator[httpx.Client]:
    uploads = Uploads(**limits)  # type: ignore[arg-type]
    served = opened(Web(port=0), [], [Desk(uploads)])
    with httpx.Client(base_url=served.address, timeout=60) as client:
        yield client
    served.close()
    uploads.close()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with desk(a_minute=100_000) as opened:
        yield opened


def encoded(format: str = "PNG", rgb: Image = RGB, **options: object) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(rgb).save(file, format, **options)
    return file.getvalue()


def sent(client: httpx.Client, *contents: bytes, field: str = "photo") -> httpx.Response:
    return client.post(PATH, files=[(field, (f"{n}.jpg", content)) for n, content in enumerate(contents)])


def fault(client: httpx.Client, content: bytes) -> str:
    """Of a file that is refused, by a server that goes on: the next file is taken."""
    answer = sent(client, content, encoded())
    assert answer.status_code == 200, answer.text
    refused, taken = answer.json()
    assert refused["image"] is None
    assert taken["fault"] is None
    assert taken["image"]["shape"] == [40, 60, 3]
    return str(refused["fault"])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel, all black: the smallest file for so many pixels."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\x00" * ((width + 7) // 8 + 1) * height, 9)
    return HEADS["PNG"] + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", HEADS)
def test_pictures_are_known_by_their_content(client: httpx.Client, format: str) -> None:
    (got,) = sent(client, encoded(format)).json()
    assert (got["name"], got["fault"]) == ("0.jpg", None)
    assert got["image"]["shape"] == [40, 60, 3]
    assert got["image"]["first"] == pytest.approx([240, 20, 10], abs=40)


def test_of_an_animation_the_first_picture(client: httpx.Client) -> None:
    later = [Pillow.new("RGB", (60, 40), "white")]
    (got,) = sent(client, encoded("GIF", save_all=True, append_images=later)).json()
    assert got["image"]["first"] == pytest.approx([240, 20, 10], abs=40)


def test_a_picture_is_turned_upright(client: httpx.Client) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    exif[0x8825] = {1: "N", 2: (48.0, 12.0, 30.0)}
    (got,) = sent(client, encoded("JPEG", exif=exif)).json()
    assert got["image"]["shape"] == [60, 40, 3]


def test_a_large_picture_is_shrunk(client: httpx.Client) -> None:
    (got,) = sent(client, encoded("JPEG", np.zeros((400, 600, 3), np.uint8))).json()
    assert got["image"]["shape"] == [67, 100, 3]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"hello", f"not a picture (known are {', '.join(FORMATS)})"),
        (b"%PDF-1.7\n", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (encoded("TIFF"), "not a picture"),
        (encoded("JPEG")[:300], "cannot be read"),
        (encoded("PNG")[:60], "cannot be read"),
        (encoded("GIF")[:-30], "cannot be read"),
        (encoded("WEBP")[:40], "picture"),
        (bomb(8000, 8000), "8000 x 8000 is more than 50 million pixels"),
        (bomb(30_000, 30_000), "exceeds limit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_picture_is_told(client: httpx.Client, content: bytes, words: str) -> None:
    assert words in fault(client, content)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(format=st.sampled_from(sorted(HEADS)), rest=st.binary(max_size=400))
def test_rubbish_under_a_good_head(client: httpx.Client, format: str, rest: bytes) -> None:
    assert fault(client, HEADS[format] + rest)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    format=st.sampled_from(sorted(HEADS)),
    flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), min_size=1, max_size=8),
)
def test_damaged_pictures(client: httpx.Client, format: str, flips: list[tuple[int, int]]) -> None:
    content = bytearray(encoded(format))
    for place, mask in flips:
        content[place % len(content)] ^= mask
    answer = sent(client, bytes(content))
    assert answer.status_code == 200
    (got,) = answer.json()
    assert (got["image"] is None) == bool(got["fault"])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), kind=st.sampled_from(["multipart/form-data; boundary=x", "multipart/form-data"]))
def test_rubbish_in_place_of_a_form(client: httpx.Client, body: bytes, kind: str) -> None:
    answer = client.post(PATH, content=b"--x\r\n" + body, headers={"Content-Type": kind})
    assert answer.status_code in (200, 400)


@pytest.mark.parametrize(
    ("headers", "content", "words"),
    [
        ({"Content-Type": "application/json"}, b"{}", "multipart/form-data"),
        ({"Content-Type": "multipart/mixed; boundary=x"}, b"--x--", "multipart/form-data"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n", "no file was sent as photo"),
        (
            {"Content-Type": "multipart/form-data; boundary=x"},
            b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n",
            "not further forms",
        ),
    ],
)
def test_what_is_no_form_is_told(client: httpx.Client, headers: dict[str, str], content: bytes, words: str) -> None:
    answer = client.post(PATH, content=content, headers=headers)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_other_fields_are_passed_over(client: httpx.Client) -> None:
    assert sent(client, encoded(), field="csrf").status_code == 400
    answer = client.post(PATH, data={"name": "Ann"}, files={"photo": ("a.png", encoded())})
    assert [each["name"] for each in answer.json()] == ["a.png"]


def test_more_than_are_wanted(client: httpx.Client) -> None:
    assert len(sent(client, *[encoded()] * MOST).json()) == MOST
    answer = sent(client, *[encoded()] * (MOST + 1))
    assert answer.status_code == 400
    assert "more than 3 pictures at once" in answer.json()["error"]


def test_a_file_and_a_request_may_only_be_so_large() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 700, 3), np.uint8)  # 1.2 MiB
    with desk(file=1 << 20, request=3 << 20) as client:
        large, small = sent(client, encoded(rgb=noise), encoded()).json()
        assert "larger than 1 MiB" in large["fault"]
        assert small["fault"] is None
        answer = sent(client, *[encoded(rgb=noise)] * 3)
        assert answer.status_code == 413
        assert "more than 3 MiB at once" in answer.json()["error"]
        assert sent(client, encoded()).status_code == 200


def test_a_form_that_does_not_say_how_long_it_is() -> None:
    def parts() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        yield from [b"x" * 65536] * 40

    with desk(request=1 << 20) as client:
        answer = client.post(PATH, content=parts(), headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert answer.status_code == 413
        assert sent(client, encoded()).status_code == 200


def test_a_sender_who_stops_is_not_waited_for() -> None:
    with desk(pace=MinimumRate(grace_s=0.2, longest_s=0.2)) as client:
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=20) as connection:
            connection.sendall(f"{head}Content-Length: 1000\r\n\r\n--x\r\n".encode())
            assert b"408" in connection.recv(1000)
        assert sent(client, encoded()).status_code == 200


def test_one_who_trickles_keeps_nobody_else_waiting(house: House) -> None:
    """Nor has anybody more than one place."""
    uploads = Uploads(wait=0.2)
    served = LiveView(Web(port=0), [])
    served.open(house.reception.guard(None), [Desk(uploads), *house.reception.pages])
    slow, other = Visitor(served.address), Visitor(served.address)
    assert slow.sign_in(OPERATOR).status_code == other.sign_in(VIEWER).status_code == 303
    form = "multipart/form-data; boundary=x"
    headers = {"X_CSRF_Token": slow.csrf(), "Cookie": f"unblur={slow.cookies['unblur']}"}
    with ExitStack() as stack:
        connections = [connected(served.address, stack) for _ in range(4)]
        for connection in connections:
            connection.sendall(head("POST", PATH, content_type=form, length=1000, **headers) + b"--x\r\n")
        for _ in range(3):
            (refused, *_), _, _ = select.select(connections, [], [], 20)
            said = answer(refused)
            assert said.startswith("HTTP/1.1 503 ")
            assert "Retry-After: " in said
            connections.remove(refused)
        files = {"photo": ("a.png", encoded())}
        assert other.post(PATH, files=files, headers={"X-CSRF-Token": other.csrf()}).status_code == 200
    served.close()
    uploads.close()


def test_so_many_a_minute() -> None:
    with desk(a_minute=4) as client:
        assert sent(client, *[encoded()] * 3).status_code == 200
        answer = sent(client, encoded(), encoded())
        assert answer.status_code == 429
        assert "more than 4 pictures within a minute" in answer.json()["error"]


def test_what_takes_too_long_is_given_up() -> None:
    with desk(seconds=0.001) as client:
        (got,) = sent(client, encoded("WEBP", np.zeros((4000, 4000, 3), np.uint8))).json()
        assert "takes longer than 0.001 s" in got["fault"]


def test_a_decoder_that_died_is_replaced() -> None:
    others = set(multiprocessing.active_children())
    decoder = Decoder(1_000_000, 20)
    assert decoder.decode(encoded()).image.shape == (40, 60, 3)
    (process,) = set(multiprocessing.active_children()) - others
    process.kill()
    process.join()
    with pytest.raises(ValueError, match="the decoder failed over it"):
        decoder.decode(encoded())
    assert decoder.decode(encoded()).image.shape == (40, 60, 3)
    decoder.close()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("holiday.jpg", "holiday.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("a\x00\x1b[31mb\n.png", "a[31mb.png"),
        ("", "picture"),
        ("..//", "picture"),
        ("x" * 500, "x" * 80),
    ],
)
def test_names_are_only_shown(name: str, shown: str) -> None:
    assert to_display_name(name) == shown


def test_a_long_name_is_cut_before_it_is_composed() -> None:
    began_s = time.process_time()
    assert len(to_display_name("a" + "\u0300\u0316" * 15_000)) == 80
    assert time.process_time() - began_s < 0.3  # it would be a second


def scanned(scans: int) -> bytes:
    """A progressive JPEG whose last scan stands there as often as makes so many scans, and behind it a film with what
    looks like more, as a telephone's motion photo has it."""
    buffer = io.BytesIO()
    Pillow.fromarray(RGB).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last, usual = content.rindex(b"\xff\xda"), content.count(b"\xff\xda")
    return content[:-2] + content[last:-2] * (scans - usual) + content[-2:] + b"\xff\xda\x00\x02" * 1000


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    decoder = Decoder(1_000_000, 20)
    assert decoder.decode(scanned(SCANS)).image.shape == (40, 60, 3)
    with pytest.raises(ValueError, match="more than 100 scans"):
        decoder.decode(scanned(SCANS + 1))
    decoder.close()


def test_of_an_animation_the_first_picture_is_taken_and_that_is_known() -> None:
    buffer = io.BytesIO()
    Pillow.fromarray(RGB).save(buffer, "WEBP", save_all=True, append_images=[Pillow.new("RGB", (60, 40))])
    decoder = Decoder(1_000_000, 20)
    still = decoder.decode(buffer.getvalue(), 30)
    decoder.close()
    assert (still.image.shape, still.pictures, still.pixels) == ((20, 30, 3), 2, 2400)
