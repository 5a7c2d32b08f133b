"""From what somebody writes on a command line to a source."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from glob import glob
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from stream.album import Album
from stream.capture import PATIENT, Capture, Feed, Patience
from stream.errors import SourceError, UsageError
from stream.guest import Guest
from stream.picture import is_picture
from stream.redact import redact, redact_mistyped
from stream.replay import WHOLE, Playback, Replay
from stream.video import Video

_RTSP = (("rtsp_transport", "tcp"), ("allowed_media_types", "video"), ("fflags", "nobuffer"), ("fpsprobesize", "0"))
_HTTP = (("fflags", "nobuffer"),)
_FILES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm"})
WHIP = "whip:"
LOOP = "loop:"
_SEGMENT_S = 20.0
"""HLS is silent for a segment's length, commonly 2-10 s, while nothing is wrong."""

Live = Capture | Guest
"""Sources that say how they are."""
Opened = Replay | Live


def open_source(
    spec: str, camera: str | None = None, playback: Playback = WHOLE, patience: Patience = PATIENT
) -> Opened:
    """The source that `spec` names.

    - digits or /dev/videoN: a webcam
    - rtsp(s)://: a live camera, over TCP
    - http(s)://: live (MJPEG, HLS, MPEG-TS), but a video file whose size the server states, or a finished HLS
      playlist, is a recording. Only addresses that end like a video file or .m3u8 are asked which they are: a file
      that cannot be had is an error, a playlist that cannot be had is a camera to wait for.
    - loop:FILE: a film that plays for ever, as if it were a camera
    - whip: a guest, which sends its pictures to our web server
    - a folder, a glob or a picture: pictures in natural order
    - any other file: a video

    `camera` defaults to a name made of the spec without its secrets. Raises SourceError before anything is read from
    a recording that does not exist or holds no picture; a live source that does not answer is no error here.
    """
    if spec.isdecimal() or spec.startswith("/dev/video"):
        return _webcam(spec, camera, playback, patience)
    if spec == WHIP:
        return Guest(camera or "guest")
    if spec.startswith(LOOP):
        return _loop(Path(spec.removeprefix(LOOP)).expanduser(), camera, playback, patience)
    if "://" in spec:
        return _address(spec, camera, playback, patience)
    try:
        return _file(spec, camera, playback)
    except OSError as error:
        raise SourceError(f"{redact_mistyped(spec)}: {error.strerror}") from None


def _webcam(spec: str, camera: str | None, playback: Playback, patience: Patience) -> Capture:
    device = Path(f"/dev/video{int(spec)}" if spec.isdecimal() else spec)
    name = camera or f"webcam{device.name.removeprefix('video')}"
    if not device.exists():
        there = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
        raise SourceError(f"{name}: there is no camera {device} (cameras here: {there})")
    return _live(Feed(str(device), form="v4l2"), name, playback, patience)


def _loop(film: Path, camera: str | None, playback: Playback, patience: Patience) -> Capture:
    if not film.is_file():
        raise SourceError(f"{redact_mistyped(str(film))}: no such file")
    # Escaped once for the option's value and once for the graph (ffmpeg-filters, "Notes on filtergraph escaping").
    value = re.sub(r"([\\':])", r"\\\1", str(film.absolute()))
    named = re.sub(r"([\\'\[\],;])", r"\\\1", value)
    return _live(Feed(f"movie=filename={named}:loop=0,realtime", "lavfi"), camera or film.stem, playback, patience)


def _address(spec: str, camera: str | None, playback: Playback, patience: Patience) -> Replay | Capture:
    host, path = _host_and_path(spec)
    name = camera or host
    suffix = PurePosixPath(path).suffix.lower()
    match spec.partition("://")[0].lower():
        case "rtsp" | "rtsps":
            return _live(Feed(spec, options=_RTSP), name, playback, patience)
        case "http" | "https" if suffix in _FILES:
            video = Video(spec, redact(spec))
            return Replay(video, name, playback) if video.has_size else _http(spec, name, playback, patience)
        case "http" | "https" if suffix == ".m3u8":
            return _playlist(spec, name, playback, patience)
        case "http" | "https":
            return _http(spec, name, playback, patience)
        case scheme:
            raise SourceError(f"{name}: {scheme}:// is not known; use rtsp://, rtsps://, http:// or https://")


def _host_and_path(spec: str) -> tuple[str, str]:
    if re.search(r"\s", spec):
        raise SourceError("an address holds no white space; write %20")
    shown = redact(spec)
    try:
        parts = urlsplit(shown)
    except ValueError:
        raise SourceError(f"{shown}: not an address") from None
    if not parts.hostname:
        raise SourceError(f"{shown}: there is no host in this address")
    return parts.hostname, parts.path


def _playlist(spec: str, name: str, playback: Playback, patience: Patience) -> Replay | Capture:
    try:
        video = Video(spec, redact(spec))
    except SourceError:
        video = None
    if video and video.duration_s:
        return Replay(video, name, playback)
    return _live(Feed(spec), name, playback, replace(patience, picture_s=max(patience.picture_s, _SEGMENT_S)))


def _http(spec: str, name: str, playback: Playback, patience: Patience) -> Capture:
    return _live(Feed(spec, options=_HTTP), name, playback, patience)


def _live(feed: Feed, name: str, playback: Playback, patience: Patience) -> Capture:
    if playback.start_time or playback.from_s or playback.to_s is not None:
        raise UsageError(f"{name}: a live camera has no start time and no part to choose; those are for recordings")
    return Capture(feed, name, patience)


def _file(spec: str, camera: str | None, playback: Playback) -> Replay:
    path = Path(spec).expanduser()
    if path.is_dir():
        return _album(spec, list(path.iterdir()), camera or path.resolve().name, playback)
    if path.is_file():
        return _recording(path, camera or path.stem, playback)
    if path.exists():
        raise SourceError(f"{spec}: neither a file nor a folder")
    if not re.search(r"[*?\[]", spec):
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()  # from Python 3.14 on, the three questions above keep to themselves why nothing is found
        raise SourceError(f"{redact_mistyped(spec)}: no such file or folder")
    found = [Path(name) for name in glob(str(path), recursive=True)]  # noqa: PTH207  Path.glob refuses absolute patterns
    return _album(redact_mistyped(spec), found, camera or path.parent.resolve().name, playback)


def _recording(path: Path, name: str, playback: Playback) -> Replay:
    if is_picture(path):
        return _album(str(path), [path], name, playback)
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty")
    # An absolute path, because FFmpeg takes a colon in a relative one for a protocol.
    return Replay(Video(str(path.absolute()), str(path)), name, playback)


def _album(spec: str, paths: list[Path], name: str, playback: Playback) -> Replay:
    return Replay(Album(spec, paths, playback.fps), name, playback)
