"""From what somebody writes on a command line to a source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from stream.credentials import redact_credentials, redact_malformed_url
from stream.errors import SourceError, UsageError
from stream.sources.image_sequence import ImageSequence
from stream.sources.live import DEFAULT_RECONNECT, LiveSource
from stream.sources.receiver import PushSource
from stream.sources.recorded import WHOLE, PlaybackOptions, RecordedSource
from stream.sources.stream_spec import ReconnectPolicy, StreamSpec
from stream.sources.video_file import VideoFile, has_size
from stream.storage.images import count_pictures, is_picture
from stream.storage.system_files import is_system

Transport = Literal["auto", "tcp", "udp"]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is read, where that can be chosen: which of several video streams (from 1; None: the first), RTSP's
    transport, and the seconds between two pictures of an address that gives one for each request."""

    stream: int | None = None
    transport: Transport = "auto"
    snapshot_s: float = 0.5


USUAL = SourceOptions()

_RTSP = (("allowed_media_types", "video"), ("fpsprobesize", "0"))
_TRANSPORTS: dict[Transport, tuple[tuple[str, str], ...]] = {
    "auto": (("rtsp_transport", "tcp+udp+udp_multicast"), ("rtsp_flags", "prefer_tcp")),
    "tcp": (("rtsp_transport", "tcp"),),
    "udp": (("rtsp_transport", "udp+udp_multicast"),),
}
"""TCP comes whole and passes firewalls; auto: UDP where the camera answers that it has no other (461)."""
_FILES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm"})
_ANIMATIONS = {".gif": "gif", ".png": "apng", ".apng": "apng"}
"""What FFmpeg plays as a film where a file holds several pictures, and as which format: behind a long color profile it
takes an animated PNG for a still one."""
_WILD = re.compile(r"[*?\[]")
_PLAYLIST = ".m3u8"
WHIP = "whip:"
LOOP = "loop:"
_SEGMENT_S = 20.0
"""HLS is silent for a segment's length, commonly 2-10 s, while nothing is wrong."""

Live = LiveSource | PushSource
"""Sources that say how they are."""
Opened = RecordedSource | Live


def open_source(
    spec: str,
    camera: str | None = None,
    playback: PlaybackOptions = WHOLE,
    patience: ReconnectPolicy = DEFAULT_RECONNECT,
    options: SourceOptions = USUAL,
) -> Opened:
    """The source that `spec` names.

    - digits or /dev/videoN: a webcam
    - rtsp(s)://: a live camera
    - http(s)://: live (MJPEG, a JPEG for each request, HLS, MPEG-TS, MP4), but a video file whose size the server
      states, or a finished HLS playlist, is a recording. Only addresses that end like a video file or .m3u8 are asked
      which they are; one that cannot be had is a camera to wait for, unless patience is not endless.
    - loop:FILE: a film that plays for ever, as if it were a camera
    - whip: a guest, which sends its pictures to our web server
    - a folder, a glob or a picture: pictures in natural order
    - an animated GIF or PNG, or any other file: a video

    `camera` defaults to a name made of the spec without its secrets. Raises SourceError before anything is read from
    a recording that does not exist or holds no picture; a live source that does not answer is no error here.
    """
    if spec == WHIP:
        return PushSource(camera or "guest")
    opening = _Opening(camera, playback, patience, options)
    if spec.isdecimal() or spec.startswith("/dev/video"):
        return opening.webcam(spec)
    if spec.startswith(LOOP):
        return opening.loop(Path(spec.removeprefix(LOOP)).expanduser())
    if "://" in spec:
        return opening.address(spec)
    try:
        return opening.file(spec)
    except OSError as error:
        raise SourceError(f"{redact_malformed_url(spec)}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class _Opening:
    """What is known of a source beside what names it."""

    camera: str | None
    playback: PlaybackOptions
    patience: ReconnectPolicy
    options: SourceOptions

    def webcam(self, spec: str) -> LiveSource:
        device = Path(f"/dev/video{int(spec)}" if spec.isdecimal() else spec)
        name = self.camera or f"webcam{device.name.removeprefix('video')}"
        if not (device.exists() or self.patience.endless):  # it may yet be plugged in
            there = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
            raise SourceError(f"{name}: there is no camera {device} (cameras here: {there})")
        return self._live(StreamSpec(str(device), "device", form="v4l2"), name)

    def loop(self, film: Path) -> LiveSource:
        if not film.is_file():
            raise SourceError(f"{redact_malformed_url(str(film))}: no such file")
        feed = StreamSpec(str(film.absolute()), "loop", stream=self.options.stream)
        return self._live(feed, self.camera or _printable(film.stem))

    def address(self, spec: str) -> RecordedSource | LiveSource:
        host, path = _host_and_path(spec)
        name = self.camera or host
        suffix = PurePosixPath(path).suffix.lower()
        match spec.partition("://")[0].lower():
            case "rtsp" | "rtsps":
                how = _RTSP + _TRANSPORTS[self.options.transport]
                return self._live(StreamSpec(spec, "rtsp", options=how, stream=self.options.stream), name)
            case "http" | "https" if suffix in _FILES or suffix == _PLAYLIST:
                return self._replay_or_live(spec, name, suffix)
            case "http" | "https":
                return self._http(spec, name)
            case scheme:
                raise SourceError(f"{name}: {scheme}:// is not known; use rtsp://, rtsps://, http:// or https://")

    def _replay_or_live(self, spec: str, name: str, suffix: str) -> RecordedSource | LiveSource:
        try:
            video = self._finite(spec, suffix)
        except SourceError:
            if not self.patience.endless and suffix in _FILES:
                raise
            video = None
        if video:
            return RecordedSource(video, name, self.playback)
        least_s = _SEGMENT_S if suffix == _PLAYLIST else 0.0
        return self._http(spec, name, replace(self.patience, picture_s=max(self.patience.picture_s, least_s)))

    def _finite(self, spec: str, suffix: str) -> VideoFile | None:
        """The recording at an address, None if it is live. Raises SourceError if it cannot be had."""
        if suffix in _FILES and not has_size(spec):
            return None
        video = VideoFile(spec, redact_credentials(spec), self.options.stream)
        return video if video.has_size or video.duration_s else None

    def _http(self, spec: str, name: str, patience: ReconnectPolicy | None = None) -> LiveSource:
        feed = StreamSpec(spec, "http", stream=self.options.stream, snapshot_s=self.options.snapshot_s)
        return self._live(feed, name, patience)

    def _live(self, feed: StreamSpec, name: str, patience: ReconnectPolicy | None = None) -> LiveSource:
        if self.playback.start_time or self.playback.from_s or self.playback.to_s is not None:
            raise UsageError(f"{name}: a live camera has no start time and no part to choose; those are for recordings")
        return LiveSource(feed, name, patience or self.patience)

    def file(self, spec: str) -> RecordedSource:
        path = Path(spec).expanduser()
        if path.is_dir():
            return self._album(spec, _own(path, path.iterdir()), self.camera or _printable(path.resolve().name))
        if path.is_file():
            return self._recording(path, self.camera or _printable(path.stem))
        if path.exists():
            raise SourceError(f"{spec}: neither a file nor a folder")
        if not _WILD.search(spec):
            with suppress(FileNotFoundError, NotADirectoryError):
                path.stat()  # from Python 3.14 on, the three questions above keep to themselves why nothing is found
            raise SourceError(f"{redact_malformed_url(spec)}: no such file or folder")
        found = [Path(name) for name in glob(str(path), recursive=True)]  # noqa: PTH207  Path.glob refuses absolute patterns
        return self._album(
            redact_malformed_url(spec), _own(path, found), self.camera or _printable(path.parent.resolve().name)
        )

    def _recording(self, path: Path, name: str) -> RecordedSource:
        form = _ANIMATIONS.get(path.suffix.lower()) if count_pictures(path) > 1 else None
        if is_picture(path) and not form:
            return self._album(str(path), [path], name)
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: the file is empty")
        # An absolute path, because FFmpeg takes a colon in a relative one for a protocol.
        return RecordedSource(
            VideoFile(str(path.absolute()), str(path), self.options.stream, form), name, self.playback
        )

    def _album(self, spec: str, paths: list[Path], name: str) -> RecordedSource:
        return RecordedSource(ImageSequence(spec, paths, self.playback.fps), name, self.playback)


def _host_and_path(spec: str) -> tuple[str, str]:
    if re.search(r"\s", spec):
        raise SourceError("an address holds no white space; write %20")
    shown = redact_credentials(spec)
    try:
        parts = urlsplit(shown)
    except ValueError:
        raise SourceError(f"{shown}: not an address") from None
    if not parts.hostname:
        raise SourceError(f"{shown}: there is no host in this address")
    return parts.hostname, parts.path


def _printable(name: str) -> str:
    """A file's name as a camera's: bytes that are not UTF-8 are written as Python escapes them."""
    return name.encode("utf-8", "backslashreplace").decode()


def _own(place: Path, found: Iterable[Path]) -> list[Path]:
    """What people put at a place, a folder or a pattern, without what systems leave there."""
    fixed = next((number for number, part in enumerate(place.parts) if _WILD.search(part)), len(place.parts))
    return [path for path in found if not any(is_system(Path(part)) for part in path.parts[fixed:])]
