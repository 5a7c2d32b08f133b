from __future__ import annotations

import hashlib
import os
import socket
import threading
from base64 import b64encode
from ipaddress import ip_address
from pathlib import Path
from time import monotonic

import pytest
from aiohttp import web

from stream.errors import SourceError
from stream.media.http_client import HttpClient, network_of
from stream.media.http_stream import SilentError
from stream.media.pyav import open_media
from stream.sources.factory import open_source
from stream.sources.stream_spec import ReconnectPolicy
from tests.stream.support.http_cameras import body_of, redirect_to, serve_cameras
from tests.stream.support.media import number, write_film, write_playlist
from tests.stream.support.web import serve

QUICK = ReconnectPolicy(connect_s=5.0, picture_s=1.0, keyframe_s=3.0, endless=False)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.8.8", "loopback"),
        ("0.0.0.0", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("169.254.7.7", "link-local"),
        ("fe80::1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("::ffff:169.254.169.254", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("10.0.0.7", "private"),
        ("192.168.1.2", "private"),
        ("100.64.0.1", "private"),
        ("fd12::1", "private"),
        ("8.8.8.8", "public"),
        ("224.0.0.1", "other"),
    ],
)
def test_the_network_of_an_address(address: str, network: str) -> None:
    assert network_of(ip_address(address)) == network


def own_address() -> str:
    """An address of this machine that is not loopback; skips where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        address: str = probe.getsockname()[0]
    return address


def test_a_redirect_from_the_network_to_this_machine_is_not_followed(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4")
    asked: list[str] = []
    with serve(tmp_path, asked=asked) as inner:
        routes = {
            "/live": redirect_to(f"http://{inner}/film.mp4"),
            "/film.mp4": redirect_to(f"http://{inner}/film.mp4"),
        }
        with serve_cameras(routes, "0.0.0.0") as port:
            for path in routes:
                with pytest.raises(SourceError, match="another network"):
                    list(open_source(f"http://{own_address()}:{port}{path}", reconnect=QUICK).frames())
    assert asked == []


def test_a_playlist_of_the_network_leads_nowhere_on_this_machine(tmp_path: Path) -> None:
    write_film(tmp_path / "film.ts")
    asked: list[str] = []
    with serve(tmp_path, asked=asked) as inner:
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nhttp://{inner}/film.ts\n#EXT-X-ENDLIST\n".encode()
        with serve_cameras({"/a.m3u8": body_of(playlist)}, "0.0.0.0") as port, pytest.raises(SourceError):
            list(open_source(f"http://{own_address()}:{port}/a.m3u8", reconnect=QUICK).frames())
    assert asked == []


@pytest.mark.parametrize(
    "where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "rtsp://127.0.0.1/x", "data:text/plain,x"]
)
def test_a_redirect_to_anything_but_http_is_not_followed(where: str) -> None:
    with serve_cameras({"/x": redirect_to(where)}) as port, pytest.raises(SourceError, match="may not lead"):
        HttpClient(f"http://127.0.0.1:{port}/x", 5.0).get(5.0)


def test_a_redirect_on_the_same_network_is_followed(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4", options={"movflags": "faststart"})
    with serve(tmp_path) as host, serve_cameras({"/a.mp4": redirect_to(f"http://{host}/film.mp4")}) as port:
        frames = list(open_source(f"http://127.0.0.1:{port}/a.mp4", reconnect=QUICK).frames())
    assert [number(frame.image) for frame in frames] == list(range(90))


def test_a_login_is_given_to_its_own_host_alone() -> None:
    seen: dict[str, str | None] = {}

    async def lead_on(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Basic {b64encode(b'guard:s3c/ret').decode()}":
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="camera"'})
        return web.Response(status=302, headers={"Location": f"http://localhost:{request.url.port}/other"})

    async def other(request: web.Request) -> web.StreamResponse:
        seen["authorization"] = request.headers.get("Authorization")
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="camera"'})

    with serve_cameras({"/x": lead_on, "/other": other}) as port, pytest.raises(SourceError, match="401") as refusal:
        HttpClient(f"http://guard:s3c%2Fret@127.0.0.1:{port}/x", 5.0).get(5.0)
    assert seen == {"authorization": None}
    assert str(refusal.value) == "Server returned 401 Unauthorized"
    assert refusal.value.__suppress_context__


def test_a_digest_login_lets_in() -> None:
    def digest(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    async def answer(request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        expected = digest(f"{digest('guard:camera:s3cret')}:n0nce:{digest('GET:/x')}")
        if given.startswith("Digest ") and f'response="{expected}"' in given:
            return web.Response(body=b"in")
        return web.Response(status=401, headers={"WWW-Authenticate": 'Digest realm="camera", nonce="n0nce"'})

    with serve_cameras({"/x": answer}) as port:
        assert HttpClient(f"http://guard:s3cret@127.0.0.1:{port}/x", 5.0).get(5.0).read(10) == b"in"


def test_an_answer_that_stops_is_noticed_in_the_time_that_is_left_by_then() -> None:
    patience = {"s": 60.0}

    class Patient:
        def __float__(self) -> float:
            return patience["s"]

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection = server.accept()[0]
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            stopped.wait(20)
            connection.close()

        stopped = threading.Event()
        thread = threading.Thread(target=answer)
        thread.start()
        with HttpClient(f"http://127.0.0.1:{server.getsockname()[1]}/", 5.0).get(Patient()) as body:
            assert body.read(10) == b"abc"
            patience["s"] = 0.2
            began = monotonic()
            with pytest.raises(SilentError):
                body.read(10)
        stopped.set()
        thread.join()
    assert monotonic() - began < 20


def test_what_does_not_speak_http_is_refused_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection = server.accept()[0]
            connection.recv(4096)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(SourceError, match="does not speak HTTP"):
            HttpClient(f"http://u:s3cret@127.0.0.1:{server.getsockname()[1]}/", 5.0).get(5.0)
        thread.join()


@pytest.mark.parametrize(
    "segment",
    [
        "file://{folder}/film.ts",
        "{folder}/film.ts",
        "concat:{folder}/film.ts",
        "subfile,,start,0,end,0,,:{folder}/film.ts",
        "pipe:0",
        "crypto:{folder}/film.ts",
        "cache:file:{folder}/film.ts",
        "data:video/mp2t;base64,R0BAAQ==",
        "gopher://127.0.0.1/",
        "udp://127.0.0.1:9",
    ],
)
def test_a_playlist_leads_to_nothing_but_web_addresses(tmp_path: Path, segment: str) -> None:
    write_film(tmp_path / "film.ts")
    named = segment.format(folder=tmp_path)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{named}\n#EXT-X-ENDLIST\n".encode()
    with serve_cameras({"/a.m3u8": body_of(playlist)}) as port, pytest.raises(SourceError):
        list(open_source(f"http://127.0.0.1:{port}/a.m3u8", reconnect=QUICK).frames())


def test_an_encrypted_playlist_is_played(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(os.urandom(16))
    (tmp_path / "info").write_text(f"key\n{tmp_path / 'key'}\n{os.urandom(16).hex()}\n")
    options = {"hls_time": "1", "hls_list_size": "0", "hls_key_info_file": str(tmp_path / "info")}
    write_film(tmp_path / "film.m3u8", 90, options=options)
    assert "AES-128" in (tmp_path / "film.m3u8").read_text()
    with serve(tmp_path) as host:
        frames = list(open_source(f"http://{host}/film.m3u8", reconnect=QUICK).frames())
    assert [number(frame.image) for frame in frames] == list(range(90))


def test_a_segment_that_is_missing_is_said(tmp_path: Path) -> None:
    write_playlist(tmp_path / "film.m3u8", finished=True)
    (tmp_path / "film1.ts").unlink()
    with serve(tmp_path) as host, pytest.raises(Exception, match="404 Not Found"):
        list(open_source(f"http://{host}/film.m3u8", reconnect=QUICK).frames())


def test_ffmpegs_own_client_follows_no_redirect(tmp_path: Path) -> None:
    """Where it reads a file part by part, ours has found out before where that lies."""
    write_film(tmp_path / "film.mp4", options={"movflags": "faststart"})
    with serve(tmp_path) as host, serve_cameras({"/a.mp4": redirect_to(f"http://{host}/film.mp4")}) as port:
        address = f"http://127.0.0.1:{port}/a.mp4"
        with pytest.raises(SourceError):
            open_media(address, "http", {"max_redirects": "0"})
