import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream.errors import SourceError, UsageError
from stream.sources.factory import open_source
from stream.sources.live import LiveSource
from stream.sources.recorded import PlaybackOptions, RecordedSource
from stream.sources.stream_spec import ReconnectPolicy
from tests.stream.support.media import RATE, number, write_film, write_playlist
from tests.stream.support.web import serve


@pytest.mark.parametrize(
    ("spec", "camera"),
    [
        ("rtsp://guard:secret@camera.lan:554/stream1", "camera.lan"),
        ("rtsps://10.0.0.7/live?token=secret", "10.0.0.7"),
        ("http://guard:pa@ss/word@camera.lan/video.mjpg", "camera.lan"),
        ("http://[fe80::1]:8080/video", "fe80::1"),
    ],
)
def test_an_address_is_a_live_camera_named_after_its_host(spec: str, camera: str) -> None:
    source = open_source(spec)
    assert isinstance(source, LiveSource)
    assert source.camera == camera


def test_a_file_is_a_recording_named_after_its_stem(tmp_path: Path) -> None:
    path = write_film(tmp_path / "back yard.mp4", 3)
    source = open_source(str(path))
    assert isinstance(source, RecordedSource)
    assert source.camera == "back yard"
    assert open_source(str(path), "lobby").camera == "lobby"


def test_a_name_with_a_colon_or_brackets_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("10:30.mp4", "[1].mp4"):
        write_film(tmp_path / "film.mp4", 3).rename(tmp_path / name)
        assert len(list(open_source(name).frames())) == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.mp4", b"", "the file is empty"),
        ("a.mp4", b"hello, this is no film" * 100, "no video that can be read"),
        ("a.txt", b"FFmpeg would draw this text as a film\n" * 100, "no video that can be read"),
        ("a.mkv", b"\x1a\x45\xdf\xa3" + bytes(1000), "a.mkv"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words) as refusal:
        open_source(str(path))
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nowhere/film.mp4", "no such file or folder"),
        ("nowhere/*.jpg", "no pictures"),
        ("99", "there is no camera /dev/video99"),
        ("/dev/video98", "there is no camera /dev/video98"),
        ("/dev/null", "neither a file nor a folder"),
        ("x" * 5000, "File name too long"),
        ("ftp://u:secret@h/film.mp4", "ftp:// is not known"),
        ("rtsp//u:secret@h/1", r"rtsp//\*\*\*@h/1: no such file or folder"),
        ("rtsp:/u:se@cret@h/1", "no such file or folder"),
        ("u:secret@h/1", "no such file or folder"),
        ("rtsp//u:secret@h/1?*", "no pictures"),
        ("loop:rtsp://u:secret@h/1", "no such file"),
        ("rtsp//u:" + "secret" * 900 + "@h", "File name too long"),
        ("rtsp://", "no host"),
        ("rtsp://u:se cret@h/1", "no white space"),
    ],
)
def test_what_cannot_be_a_source_is_refused_in_one_line(spec: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as refusal:
        open_source(spec, reconnect=ReconnectPolicy(endless=False))
    assert "cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "playback", [PlaybackOptions(from_s=1), PlaybackOptions(to_s=1), PlaybackOptions(datetime.now(UTC))]
)
def test_a_live_camera_takes_no_part_of_a_recording(playback: PlaybackOptions) -> None:
    with pytest.raises(UsageError, match="for recordings"):
        open_source("rtsp://camera.lan/1", playback=playback)


def test_a_film_on_a_web_server_is_a_recording(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4", options={"movflags": "faststart"})
    with serve(tmp_path) as host:
        source = open_source(f"http://{host}/film.mp4?token=secret")
        assert isinstance(source, RecordedSource)
        assert [number(frame.image) for frame in source.frames()] == list(range(90))


def test_a_film_that_a_web_server_has_not_is_an_error(tmp_path: Path) -> None:
    with serve(tmp_path) as host, pytest.raises(SourceError, match="404 Not Found") as refusal:
        open_source(f"http://{host}/film.mp4?token=secret", reconnect=ReconnectPolicy(endless=False))
    assert "secret" not in str(refusal.value)


def test_a_film_without_a_length_is_live(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4", options={"movflags": "frag_keyframe+empty_moov"})
    with serve(tmp_path, {"/live.mp4": ("video/mp4", lambda: iter([(tmp_path / "film.mp4").read_bytes()]))}) as host:
        assert isinstance(open_source(f"http://{host}/live.mp4"), LiveSource)


def test_a_finished_playlist_is_a_recording(tmp_path: Path) -> None:
    write_playlist(tmp_path / "film.m3u8", finished=True)
    with serve(tmp_path) as host:
        source = open_source(f"http://{host}/film.m3u8")
        assert isinstance(source, RecordedSource)
        assert [number(frame.image) for frame in source.frames()] == list(range(90))


def test_a_playlist_that_is_not_there_yet_is_a_camera_to_wait_for(tmp_path: Path) -> None:
    with serve(tmp_path) as host:
        assert isinstance(open_source(f"http://{host}/film.m3u8"), LiveSource)


@pytest.mark.parametrize("name", ["film.mp4", "it's [a], film;: 2.mp4"])
def test_a_film_that_loops_is_a_camera_without_an_end(tmp_path: Path, name: str) -> None:
    write_film(tmp_path / name, count=5)
    source = open_source(f"loop:{tmp_path / name}")
    assert isinstance(source, LiveSource)
    seen = [frame.pts_s for frame, _ in zip(source.frames(), range(12), strict=False)]
    source.close()
    assert len(seen) == 12
    assert seen == sorted(seen)
    assert seen[-1] - seen[0] >= 0.9 * 11 / RATE, "at its own pace, from one round to the next"


def test_a_loop_needs_its_film() -> None:
    with pytest.raises(SourceError, match="no such file"):
        open_source("loop:nothing.mp4")


@pytest.mark.parametrize("name", ["film.mp4", "stream.mp4?src=cam", "film.m3u8"])
def test_an_address_that_cannot_be_reached_is_a_camera_to_wait_for(tmp_path: Path, name: str) -> None:
    """Beside others; alone it is an error."""
    with serve(tmp_path) as host:
        pass
    source = open_source(f"http://{host}/{name}", reconnect=ReconnectPolicy(endless=True))
    assert isinstance(source, LiveSource)
    if "mp4" in name:
        with pytest.raises(SourceError, match="Connection refused"):
            open_source(f"http://{host}/{name}", reconnect=ReconnectPolicy(endless=False))


@pytest.mark.skipif(sys.platform == "darwin", reason="this file system takes no such name")
def test_a_name_that_is_not_utf_8_is_opened_and_names_the_camera_in_print(tmp_path: Path) -> None:
    film = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xff.mp4"))
    write_film(tmp_path / "film.mp4", count=3).rename(film)
    source = open_source(str(film))
    assert source.camera == r"f\udcff"
    assert len(list(source.frames())) == 3
