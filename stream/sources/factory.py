"""Factory of sources: opens what a source specification on a command line or in a configuration names."""

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
    """Options of a source: `stream`, the number of the video stream (from 1; None: the first), RTSP's `transport`, and
    `snapshot_s`, the seconds between two requests to an address that answers with one image."""

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
"""TCP is complete and passes firewalls; auto: UDP if the camera answers that it supports nothing else (461)."""
_FILES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm"})
_ANIMATIONS = {".gif": "gif", ".png": "apng", ".apng": "apng"}
"""FFmpeg's format of files that may hold an animation: after a long color profile it detects an animated PNG as a still
image."""
_WILD = re.compile(r"[*?\[]")
_PLAYLIST = ".m3u8"
WHIP = "whip:"
LOOP = "loop:"
_SEGMENT_S = 20.0
"""HLS normally sends nothing for the length of a segment, commonly 2-10 s."""

Live = LiveSource | PushSource
"""Sources that have a status."""
Opened = RecordedSource | Live


def open_source(
    spec: str,
    camera: str | None = None,
    playback: PlaybackOptions = WHOLE,
    reconnect: ReconnectPolicy = DEFAULT_RECONNECT,
    options: SourceOptions = USUAL,
) -> Opened:
    """The source that `spec` names.

    - digits or /dev/videoN: a webcam
    - rtsp(s)://: a live camera
    - http(s)://: live (MJPEG, a JPEG for each request, HLS, MPEG-TS, MP4); but a video file whose size the server
      states, or a finished HLS playlist, is a recording. Only addresses with the suffix of a video file or .m3u8 are
      requested to decide this; one that does not answer is a camera to wait for, unless `reconnect` is not endless.
    - loop:FILE: a video file that repeats for ever, as a live camera
    - whip: a WebRTC sender, which sends its frames to our web server
    - a folder, a glob or an image file: images in natural order
    - an animated GIF or PNG, or any other file: a video

    `camera` defaults to a name made of the spec without its secrets. Raises SourceError for a recording that does not
    exist or holds no image; a live source that does not answer raises no error here.
    """
    if spec == WHIP:
        return PushSource(camera or "guest")
    factory = _SourceFactory(camera, playback, reconnect, options)
    if spec.isdecimal() or spec.startswith("/dev/video"):
        return factory.webcam(spec)
    if spec.startswith(LOOP):
        return factory.loop(Path(spec.removeprefix(LOOP)).expanduser())
    if "://" in spec:
        return factory.address(spec)
    try:
        return factory.file(spec)
    except OSError as error:
        raise SourceError(f"{redact_malformed_url(spec)}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class _SourceFactory:
    """Opens sources of one camera, with given options."""

    camera: str | None
    playback: PlaybackOptions
    reconnect: ReconnectPolicy
    options: SourceOptions

    def webcam(self, spec: str) -> LiveSource:
        device = Path(f"/dev/video{int(spec)}" if spec.isdecimal() else spec)
        name = self.camera or f"webcam{device.name.removeprefix('video')}"
        if not (device.exists() or self.reconnect.endless):  # an endless policy waits until it is plugged in
            present = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
            raise SourceError(f"{name}: there is no camera {device} (cameras here: {present})")
        return self._live(StreamSpec(str(device), "device", form="v4l2"), name)

    def loop(self, path: Path) -> LiveSource:
        if not path.is_file():
            raise SourceError(f"{redact_malformed_url(str(path))}: no such file")
        stream = StreamSpec(str(path.absolute()), "loop", stream=self.options.stream)
        return self._live(stream, self.camera or _camera_name(path.stem))

    def address(self, spec: str) -> RecordedSource | LiveSource:
        host, path = _split_address(spec)
        name = self.camera or host
        suffix = PurePosixPath(path).suffix.lower()
        match spec.partition("://")[0].lower():
            case "rtsp" | "rtsps":
                rtsp = _RTSP + _TRANSPORTS[self.options.transport]
                return self._live(StreamSpec(spec, "rtsp", options=rtsp, stream=self.options.stream), name)
            case "http" | "https" if suffix in _FILES or suffix == _PLAYLIST:
                return self._recording_or_live(spec, name, suffix)
            case "http" | "https":
                return self._http(spec, name)
            case scheme:
                raise SourceError(f"{name}: {scheme}:// is not known; use rtsp://, rtsps://, http:// or https://")

    def _recording_or_live(self, spec: str, name: str, suffix: str) -> RecordedSource | LiveSource:
        try:
            video = self._open_recording(spec, suffix)
        except SourceError:
            if not self.reconnect.endless and suffix in _FILES:
                raise
            video = None
        if video:
            return RecordedSource(video, name, self.playback)
        least_s = _SEGMENT_S if suffix == _PLAYLIST else 0.0
        return self._http(spec, name, replace(self.reconnect, picture_s=max(self.reconnect.picture_s, least_s)))

    def _open_recording(self, spec: str, suffix: str) -> VideoFile | None:
        """Open the recording at an address; None if it is live. Raises SourceError if it cannot be opened."""
        if suffix in _FILES and not has_size(spec):
            return None
        video = VideoFile(spec, redact_credentials(spec), self.options.stream)
        return video if video.has_size or video.duration_s else None

    def _http(self, spec: str, name: str, reconnect: ReconnectPolicy | None = None) -> LiveSource:
        stream = StreamSpec(spec, "http", stream=self.options.stream, snapshot_s=self.options.snapshot_s)
        return self._live(stream, name, reconnect)

    def _live(self, stream: StreamSpec, name: str, reconnect: ReconnectPolicy | None = None) -> LiveSource:
        if self.playback.start_time or self.playback.from_s or self.playback.to_s is not None:
            raise UsageError(f"{name}: a live camera has no start time and no part to choose; those are for recordings")
        return LiveSource(stream, name, reconnect or self.reconnect)

    def file(self, spec: str) -> RecordedSource:
        path = Path(spec).expanduser()
        if path.is_dir():
            return self._image_sequence(
                spec, _exclude_system_files(path, path.iterdir()), self.camera or _camera_name(path.resolve().name)
            )
        if path.is_file():
            return self._recording(path, self.camera or _camera_name(path.stem))
        if path.exists():
            raise SourceError(f"{spec}: neither a file nor a folder")
        if not _WILD.search(spec):
            with suppress(FileNotFoundError, NotADirectoryError):
                path.stat()  # from Python 3.14 on, the checks above hide the reason
            raise SourceError(f"{redact_malformed_url(spec)}: no such file or folder")
        matches = [Path(name) for name in glob(str(path), recursive=True)]  # noqa: PTH207  Path.glob refuses absolute patterns
        return self._image_sequence(
            redact_malformed_url(spec),
            _exclude_system_files(path, matches),
            self.camera or _camera_name(path.parent.resolve().name),
        )

    def _recording(self, path: Path, name: str) -> RecordedSource:
        form = _ANIMATIONS.get(path.suffix.lower()) if count_pictures(path) > 1 else None
        if is_picture(path) and not form:
            return self._image_sequence(str(path), [path], name)
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: the file is empty")
        # An absolute path, because FFmpeg reads a colon in a relative one as a protocol.
        return RecordedSource(
            VideoFile(str(path.absolute()), str(path), self.options.stream, form), name, self.playback
        )

    def _image_sequence(self, spec: str, paths: list[Path], name: str) -> RecordedSource:
        return RecordedSource(ImageSequence(spec, paths, self.playback.fps), name, self.playback)


def _split_address(spec: str) -> tuple[str, str]:
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


def _camera_name(name: str) -> str:
    """Make a camera name of a file name: bytes that are not UTF-8 become Python escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _exclude_system_files(root: Path, paths: Iterable[Path]) -> list[Path]:
    """Return the files of users in `root`, a folder or a pattern, without those that systems put there."""
    fixed = next((number for number, part in enumerate(root.parts) if _WILD.search(part)), len(root.parts))
    return [path for path in paths if not any(is_system(Path(part)) for part in path.parts[fixed:])]
