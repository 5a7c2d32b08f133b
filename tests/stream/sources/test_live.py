from __future__ import annotations

import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import numpy as np
import pytest
import structlog
from aiohttp import web

from stream.errors import SourceError
from stream.sources.factory import SourceOptions, open_source
from stream.sources.live import LiveSource
from stream.sources.stream_spec import ReconnectPolicy, StreamSpec
from stream.values import Frame
from tests.stream.support.http_cameras import body_of, jpeg, serve_cameras, stream_of
from tests.stream.support.media import RATE, noise, number, write_film, write_pictures, write_playlist
from tests.stream.support.rtsp import RtspServer, why_not
from tests.stream.support.web import paced, serve

rtsp = pytest.mark.skipif(bool(why_not()), reason=why_not() or "")

QUICK = ReconnectPolicy(connect_s=3.0, picture_s=1.0, first_retry_s=0.05, longest_retry_s=0.2)


def camera(address: str, reconnect: ReconnectPolicy = QUICK) -> LiveSource:
    source = open_source(address, "yard", reconnect=reconnect)
    assert isinstance(source, LiveSource)
    return source


def until(true: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait until `true` returns True."""
    end, pause = monotonic() + within_s, Event()
    while not true():
        assert monotonic() < end, "it did not come true in time"
        pause.wait(0.01)


class Viewer:
    """Reads frames on a separate thread, as the pipeline does, and keeps them."""

    def __init__(self, source: LiveSource) -> None:
        self.frames: list[Frame] = []
        self._source = source
        self._thread = Thread(target=self._read)

    def _read(self) -> None:
        for frame in self._source.frames():
            self.frames.append(frame)

    def __enter__(self) -> Viewer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()
        self._thread.join(5.0)
        assert not self._thread.is_alive()


def forward(frames: list[Frame]) -> bool:
    return all(later.pts > earlier.pts and later.index > earlier.index for earlier, later in pairwise(frames))


@rtsp
def test_a_camera_gives_frames_and_a_status() -> None:
    with RtspServer() as server:
        source = camera(server.address("steady"))
        assert source.status().state == "connecting"
        with Viewer(source) as viewer:
            until(lambda: bool(viewer.frames) and viewer.frames[-1].index > 90)  # what probing read came at once
            status = source.status()
    frames = viewer.frames
    assert (status.state, status.reconnects, status.last_error) == ("live", 0, None)
    assert status.fps == pytest.approx(30, rel=0.3)
    assert status.frame_age_s is not None
    assert status.frame_age_s < 1
    assert source.live
    assert frames[0].pts_s < 1  # the first may have been replaced by a newer one
    assert forward(frames)
    assert frames[-1].wall_time is not None
    assert abs(datetime.now(UTC) - frames[-1].wall_time) < timedelta(seconds=20)


@rtsp
def test_a_killed_server_is_reconnected() -> None:
    with RtspServer() as server:
        source = camera(server.address("steady"))
        with Viewer(source) as viewer:
            until(lambda: len(viewer.frames) > 5)
            server.kill()
            until(lambda: source.status().state == "reconnecting")
            before = len(viewer.frames)
            server.start()
            until(lambda: len(viewer.frames) > before + 5)
            status = source.status()
    assert (status.state, status.reconnects) == ("live", 1)
    assert status.last_error
    assert forward(viewer.frames)


@rtsp
def test_media_time_continues_through_an_outage() -> None:
    with RtspServer() as server:
        source = camera(server.address("steady"))
        with Viewer(source) as viewer:
            until(lambda: len(viewer.frames) > 5)
            server.kill()
            server.start()
            until(lambda: source.status().reconnects == 1)
            until(lambda: source.status().state == "live")
    for earlier, later in pairwise(viewer.frames):
        assert earlier.wall_time is not None
        assert later.wall_time is not None
        passed_s = (later.wall_time - earlier.wall_time).total_seconds()
        assert later.pts_s - earlier.pts_s == pytest.approx(passed_s, abs=0.5)


@rtsp
def test_a_frozen_server_is_detected_and_disconnected() -> None:
    with RtspServer() as server:
        source = camera(server.address("steady"))
        with Viewer(source) as viewer:
            until(lambda: len(viewer.frames) > 5)
            server.freeze()
            until(lambda: source.status().state == "stalled")
            until(lambda: source.status().state == "reconnecting")
            server.thaw()
            until(lambda: source.status().state == "live")


@rtsp
def test_the_resolution_may_change_within_a_stream() -> None:
    with RtspServer() as server, Viewer(camera(server.address("changing"))) as viewer:
        until(lambda: {frame.image.shape for frame in viewer.frames} == {(240, 320, 3), (360, 480, 3)})
    assert forward(viewer.frames)


@rtsp
def test_the_newest_frame_wins_and_drops_are_counted() -> None:
    with RtspServer() as server:
        source = camera(server.address("steady"))
        frames = source.frames()
        first = next(frames)
        before = source.status().dropped
        until(lambda: source.status().dropped >= before + 10)
        next(frames)
        newest = next(frames)
        source.close()
    assert newest.index - first.index > 10
    assert newest.index - first.index <= source.status().dropped + 2


@rtsp
def test_a_login_is_used_and_never_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with RtspServer("guard", "s3cr3t-word") as server, structlog.testing.capture_logs() as logs:
        with Viewer(camera(server.address("steady", "guard:s3cr3t-word@"))) as viewer:
            until(lambda: len(viewer.frames) > 1)
            server.kill()
            until(lambda: bool(logs))
        server.start()
        wrong = camera(server.address("steady", "guard:wr0ng-word@"), ReconnectPolicy(connect_s=3.0, endless=False))
        with pytest.raises(SourceError, match="401 Unauthorized") as refusal:
            next(wrong.frames())
    out = "".join([*capfd.readouterr(), str(logs), repr(wrong.status()), *traceback.format_exception(refusal.value)])
    assert logs
    assert "s3cr3t" not in out
    assert "wr0ng" not in out
    assert "guard" not in out


def test_a_stream_spec_does_not_show_the_login() -> None:
    spec = StreamSpec("rtsp://guard:s3cr3t@camera.lan/1", "rtsp")
    assert "s3cr3t" not in f"{spec} {spec!r}"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_a_camera_that_refuses_is_retried() -> None:
    source = camera(f"rtsp://127.0.0.1:{closed_port()}/1")
    with structlog.testing.capture_logs() as logs, Viewer(source) as viewer:
        until(lambda: len(logs) >= 3)
        status = source.status()
    assert (status.state, status.last_error, status.reconnects) == ("connecting", "Connection refused", 0)
    assert viewer.frames == []


def test_a_refusal_is_an_error_without_endless_retries() -> None:
    source = camera(f"rtsp://u:p@127.0.0.1:{closed_port()}/1", ReconnectPolicy(endless=False))
    with pytest.raises(SourceError, match=r"yard: cannot connect to rtsp://\*\*\*@127.*Connection refused"):
        next(source.frames())


def test_a_server_that_does_not_answer_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/1"
        began = monotonic()
        with pytest.raises(SourceError, match="no answer in time"):
            next(camera(address, ReconnectPolicy(connect_s=0.5, endless=False)).frames())
    assert 0.5 <= monotonic() - began < 5


def test_closing_ends_a_source_that_never_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = camera(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/1")
        with Viewer(source):
            silent.accept()[0].close()
            source.close()


@rtsp
def test_a_key_frame_that_was_read_by_probing_is_shown() -> None:
    """The next one comes 20 s later."""
    with RtspServer() as server:
        source = camera(server.address("rare"))
        with Viewer(source) as viewer:
            until(lambda: len(viewer.frames) > 5, within_s=15.0)
            assert source.status().last_error is None


@rtsp
def test_waiting_for_a_key_frame_is_not_silence() -> None:
    """A later client waits for the next key frame, longer than `picture_s`."""
    reconnect = ReconnectPolicy(connect_s=5.0, picture_s=0.5, keyframe_s=60.0, first_retry_s=0.05)
    with RtspServer() as server, Viewer(camera(server.address("rare"))) as first:
        until(lambda: len(first.frames) > 5)
        source = camera(server.address("rare"), reconnect)
        with Viewer(source) as second:
            until(lambda: len(second.frames) > 0, within_s=60.0)
            assert source.status().last_error is None


@rtsp
def test_a_camera_with_a_low_rate_is_not_reconnected() -> None:
    with RtspServer() as server:
        source = camera(server.address("slow"), ReconnectPolicy(picture_s=0.3, first_retry_s=0.05))
        with Viewer(source) as viewer:
            until(lambda: len(viewer.frames) >= 4)
            status = source.status()
    assert (status.reconnects, status.last_error, status.state) == (0, None, "live")


@rtsp
def test_a_camera_without_tcp_is_read_over_udp() -> None:
    with RtspServer() as server, Viewer(camera(server.address("udp"))) as viewer:
        until(lambda: len(viewer.frames) > 5)
    assert forward(viewer.frames)


@rtsp
def test_a_camera_without_tcp_is_an_error_where_tcp_is_asked_for() -> None:
    with RtspServer() as server:
        only_tcp = SourceOptions(transport="tcp")
        source = open_source(server.address("udp"), reconnect=ReconnectPolicy(endless=False), options=only_tcp)
        with pytest.raises(SourceError, match="rotocol not supported"):
            next(source.frames())


@rtsp
def test_frames_with_parameters_between_slices_are_complete() -> None:
    with RtspServer() as server:
        for _ in range(3):
            with Viewer(camera(server.address("slices"))) as viewer:
                until(lambda: len(viewer.frames) > 25)
            # The color bars of the test picture fill its upper two thirds.
            for frame in viewer.frames:
                for rows in (frame.image[:80], frame.image[120:150]):
                    assert np.ptp(rows[:, :, 1].mean(axis=0)) > 100


def part(number: int) -> bytes:
    return b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg(number) + b"\r\n"


def test_mjpeg_is_timed_by_the_clock(tmp_path: Path) -> None:
    """Ten pictures a second, which FFmpeg would stamp as 25 a second."""
    closed = Event()
    body = paced([part(number) for number in range(50)], 0.1, closed)
    live = {"/camera.mjpg": ("multipart/x-mixed-replace; boundary=frame", body)}
    with serve(tmp_path, live) as host, Viewer(camera(f"http://{host}/camera.mjpg")) as viewer:
        until(lambda: len(viewer.frames) >= 12)
        closed.set()
    first, last = viewer.frames[1], viewer.frames[11]
    assert (last.pts_s - first.pts_s) / (last.index - first.index) == pytest.approx(0.1, rel=0.3)


def test_video_that_stops_while_sound_continues_is_detected(tmp_path: Path) -> None:
    content = write_film(tmp_path / "film.ts", 10, sound_s=60.0, sound_last=True).read_bytes()
    closed = Event()
    parts = [content[:40_000], *(content[at : at + 376] for at in range(40_000, len(content), 376))]
    live = {"/camera.ts": ("video/mp2t", paced(parts, 0.02, closed))}
    with serve(tmp_path, live) as host:
        source = camera(f"http://{host}/camera.ts")
        with Viewer(source):
            until(lambda: "no picture for 1 s" in (source.status().last_error or ""))
        closed.set()


def test_a_live_hls_stream_is_played_in_real_time(tmp_path: Path) -> None:
    write_playlist(tmp_path / "film.m3u8", finished=False)
    with serve(tmp_path) as host:
        source = open_source(f"http://{host}/film.m3u8")
        assert isinstance(source, LiveSource)
        with Viewer(source) as viewer:
            until(lambda: len(viewer.frames) >= 20)
    first, last = viewer.frames[0], viewer.frames[19]
    assert first.wall_time is not None
    assert last.wall_time is not None
    assert (last.wall_time - first.wall_time).total_seconds() == pytest.approx(last.pts_s - first.pts_s, abs=0.2)


def test_the_output_of_a_failing_camera_holds_no_secret() -> None:
    """In a separate process, because FFmpeg writes to standard error itself."""
    program = (
        "from stream.sources.factory import open_source; from stream.sources.stream_spec import ReconnectPolicy\n"
        f"source = open_source('http://guard:s3cr3t@127.0.0.1:{closed_port()}/x?token=t0k3n',"
        " reconnect=ReconnectPolicy(endless=False))\n"
        "list(source.frames())"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "SourceError" in ended.stderr
    assert not any(secret in ended.stdout + ended.stderr for secret in ("guard", "s3cr3t", "t0k3n"))


def test_pictures_that_are_not_decoded_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """About every second frame of libx264 is one that no other refers to."""
    write_film(tmp_path / "film.mp4", 60)
    monkeypatch.setattr("stream.sources.live_connection.DecodeSkipper.choose_discard", lambda *_: "NONREF")
    source = camera(f"loop:{tmp_path / 'film.mp4'}")
    with Viewer(source) as viewer:
        until(lambda: len(viewer.frames) >= 40)
        dropped = source.status().dropped
    first, last = viewer.frames[0], viewer.frames[39]
    assert dropped >= 20
    assert forward(viewer.frames)
    assert last.index - first.index == pytest.approx((last.pts_s - first.pts_s) * RATE, abs=6)


def endless(parts: list[bytes]) -> Callable[[], Iterator[bytes]]:
    return partial(cycle, parts)


HEADERS = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
MJPEG = {
    "no first boundary": ([HEADERS % len(jpeg(n)) + jpeg(n) + b"\r\n--frame\r\n" for n in range(50)], "boundary=frame"),
    "no headers of a part": ([b"--frame\r\n\r\n" + jpeg(n) + b"\r\n" for n in range(50)], "boundary=frame"),
    "another boundary": ([b"--other\r\n" + HEADERS % len(jpeg(n)) + jpeg(n) for n in range(50)], "boundary=frame"),
    "no boundary said": ([b"--frame\r\n" + HEADERS % len(jpeg(n)) + jpeg(n) for n in range(50)], ""),
    "nothing between": ([jpeg(n) for n in range(50)], "boundary=frame"),
}


@pytest.mark.parametrize("kind", MJPEG)
def test_mjpeg_is_read_however_its_parts_are_told_apart(kind: str) -> None:
    parts, boundary = MJPEG[kind]
    routes = {"/video": stream_of(endless(parts), f"multipart/x-mixed-replace; {boundary}")}
    with serve_cameras(routes) as port, Viewer(camera(f"http://127.0.0.1:{port}/video")) as viewer:
        until(lambda: len(viewer.frames) >= 8)
    assert all(number(frame.image) == frame.index % 50 for frame in viewer.frames)


def test_pictures_one_after_the_other_without_multipart_are_read() -> None:
    routes = {"/video": stream_of(endless([jpeg(n) for n in range(50)]), "image/jpeg")}
    with serve_cameras(routes) as port, Viewer(camera(f"http://127.0.0.1:{port}/video")) as viewer:
        until(lambda: len(viewer.frames) >= 8)
    assert all(number(frame.image) == frame.index % 50 for frame in viewer.frames)


def test_an_address_that_gives_one_picture_is_asked_again_and_again_but_not_too_often() -> None:
    asked: list[int] = []

    async def snapshot(_request: web.Request) -> web.StreamResponse:
        asked.append(1)
        return web.Response(body=jpeg(len(asked) // 2), content_type="image/jpeg")  # each picture twice

    began = monotonic()
    with serve_cameras({"/snap.jpg": snapshot}) as port:
        options = SourceOptions(snapshot_s=0.1)
        source = open_source(f"http://127.0.0.1:{port}/snap.jpg", "yard", reconnect=QUICK, options=options)
        assert isinstance(source, LiveSource)
        with Viewer(source) as viewer:
            until(lambda: len(viewer.frames) >= 12)
            status = source.status()
    assert (status.reconnects, status.last_error) == (0, None)
    # Two requests may arrive closer together than they were sent; all of them never take less time than their pauses.
    assert monotonic() - began >= 0.1 * (len(asked) - 1)
    numbers = [number(frame.image) for frame in viewer.frames]
    assert numbers == sorted(set(numbers)), "a picture that the camera has not taken anew was shown twice"


def test_a_single_picture_that_cannot_be_had_any_more_is_a_lost_connection() -> None:
    asked: list[int] = []

    async def snapshot(_request: web.Request) -> web.StreamResponse:
        asked.append(1)
        if 3 < len(asked) < 6:
            raise web.HTTPServiceUnavailable
        return web.Response(body=jpeg(len(asked)), content_type="image/jpeg")

    with serve_cameras({"/snap.jpg": snapshot}) as port:
        options = SourceOptions(snapshot_s=0.05)
        source = open_source(f"http://127.0.0.1:{port}/snap.jpg", "yard", reconnect=QUICK, options=options)
        assert isinstance(source, LiveSource)
        with Viewer(source):
            until(lambda: source.status().reconnects == 1)
            assert source.status().last_error == "Server returned 503 Service Unavailable"


def test_a_page_is_no_camera() -> None:
    with serve_cameras({"/": body_of(b"<html><body>Login</body></html>", "text/html")}) as port:
        source = camera(f"http://127.0.0.1:{port}/", ReconnectPolicy(endless=False))
        with pytest.raises(SourceError, match="no video that can be read"):
            next(source.frames())


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_pictures_that_come_in_bursts_are_all_shown(tmp_path: Path, suffix: str) -> None:
    """Fragments of a second, as go2rtc sends them: nothing for a second, then 30 pictures at once."""
    options = {"movflags": "frag_every_frame+empty_moov+default_base_moof"} if suffix == "mp4" else {}
    content = write_film(tmp_path / f"film.{suffix}", 150, options=options).read_bytes()
    size = len(content) // 5 + 1
    bursts = [content[at : at + size] for at in range(0, len(content), size)]
    routes = {f"/live.{suffix}": stream_of(lambda: iter([*bursts, b""]), "video/mp4", every_s=1.0)}
    with serve_cameras(routes) as port:
        source = camera(f"http://127.0.0.1:{port}/live.{suffix}", ReconnectPolicy())
        with Viewer(source) as viewer:
            until(lambda: bool(viewer.frames) and viewer.frames[-1].index >= 110, within_s=40.0)
            assert source.status().dropped < 25
    assert all(later.pts_s - earlier.pts_s < 1.0 for earlier, later in pairwise(viewer.frames))


def test_what_is_damaged_on_the_way_is_said_and_still_shown(tmp_path: Path) -> None:
    content = write_pictures(tmp_path / "film.ts", map(noise, range(60))).read_bytes()
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    left = [packet for number, packet in enumerate(packets) if number < 100 or number % 23]  # the others are lost
    parts = [b"".join(left[at : at + 100]) for at in range(0, len(left), 100)]
    routes = {"/live.ts": stream_of(lambda: iter(parts), "video/mp2t")}
    with (
        structlog.testing.capture_logs() as logs,
        serve_cameras(routes) as port,
        Viewer(camera(f"http://127.0.0.1:{port}/live.ts")) as viewer,
    ):
        until(lambda: any(entry["event"].startswith("pictures come damaged") for entry in logs))
    assert next(entry["so_far"] for entry in logs if "so_far" in entry) == 10
    assert len(viewer.frames) > 5


def test_a_clock_that_jumps_back_leaves_the_time_going_on(tmp_path: Path) -> None:
    parts = [
        write_film(tmp_path / f"{at}.ts", 60, options={"output_ts_offset": str(at)}).read_bytes() for at in (50_000, 0)
    ]
    content = b"".join(parts)
    parts = [content[at : at + 1880] for at in range(0, len(content), 1880)]
    routes = {"/back": stream_of(lambda: iter(parts), "video/mp2t")}
    with serve_cameras(routes) as port, Viewer(camera(f"http://127.0.0.1:{port}/back")) as viewer:
        until(lambda: bool(viewer.frames) and viewer.frames[-1].index >= 110)
    assert forward(viewer.frames)
    assert viewer.frames[-1].pts_s < 60
