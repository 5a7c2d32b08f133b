"""A video file, on disk or on a web server, as a recording."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO, Any

import av
import structlog
from av.container import InputContainer
from av.format import Flags
from av.video.frame import VideoFrame

from stream.credentials import redact_credentials
from stream.errors import DamagedSourceError, SourceError
from stream.media.frame_conversion import Deinterlacer, to_image
from stream.media.http_client import HttpClient
from stream.media.pyav import PLAYLIST, PictureDecoder, Timeouts, describe_omitted, open_media, reason, video_stream
from stream.sources.timing import DAY_S, JUMP_S, MonotonicPts
from stream.values import Image

_log = structlog.get_logger(__name__)

_RATE = Fraction(25)
"""Frames a second of a file without a stated rate."""
_STATED = ("mov", "matroska", "avi", "flv", "asf")
"""Containers whose header states the duration; for others FFmpeg estimates it."""
_PLAYLIST = b"#EXTM3U"
_AVI = frozenset({b"AVI ", b"AVIX"})
_MISSING_S = 0.5
"""A recording that ends earlier than stated by more than this was cut off; less is rounding in the header."""
_TIMEOUTS = Timeouts(connect_s=5.0, read_s=10.0)
"""Timeouts for a file on a web server."""


def has_size(address: str) -> bool:
    """Whether a web address states the size of its content: a file does, a camera does not. Raises SourceError."""
    try:
        with HttpClient(address, _TIMEOUTS.connect_s).get(_TIMEOUTS.read_s) as body:
            return body.size is not None
    except SourceError as error:
        raise SourceError(f"{redact_credentials(address)}: {error}") from None


def _open_web(address: str) -> InputContainer:
    """Open a file, which FFmpeg reads in parts from where redirects led our client, or a playlist."""
    client = HttpClient(address, _TIMEOUTS.connect_s)
    body = client.get(_TIMEOUTS.read_s)
    if body.size is not None and body.peek(len(_PLAYLIST)) != _PLAYLIST:
        body.close()
        return open_media(client.with_login(body.url), "http", {"max_redirects": "0"}, _TIMEOUTS)

    def open_nested(url: str, _flags: int, options: dict[str, str]) -> object:
        return client.open_nested(_TIMEOUTS.read_s, url, options)

    return open_media(body, "body", PLAYLIST, _TIMEOUTS, io_open=open_nested)


def _is_cut_off(path: Path) -> bool:
    """Whether an AVI file ends inside its last RIFF chunk, and so has no index. Then FFmpeg reads what exists, and
    reports no error."""
    try:
        with path.open("rb") as file:
            return _ends_in_chunk(file, path.stat().st_size)
    except OSError:
        return False


def _ends_in_chunk(file: IO[bytes], size: int) -> bool:
    offset = 0
    while (header := _riff_header(file, offset)) and header[1] in _AVI:
        offset += 8 + header[0] + header[0] % 2
        if not header[0] or offset > size + 1:
            return True
    return False


def _riff_header(file: IO[bytes], offset: int) -> tuple[int, bytes] | None:
    """Size and form type of the RIFF chunk at this offset; None if there is none."""
    file.seek(offset)
    start = file.read(12)
    return (int.from_bytes(start[4:8], "little"), start[8:]) if start[:4] == b"RIFF" else None


@dataclass(slots=True)
class _DecodeStats:
    """Counts of decoded, undecodable and damaged frames of a file."""

    decoded: int = 0
    undecodable: int = 0
    damaged: int = 0
    reached_s: float = 0.0
    read_error: str | None = None

    def losses(self) -> list[str]:
        losses = [
            (self.undecodable, f"packets that could not be decoded: {self.undecodable}"),
            (self.damaged, f"pictures that were damaged: {self.damaged}"),
            (self.read_error, f"reading broke off: {self.read_error}"),
        ]
        return [message for count, message in losses if count]


class VideoFile:
    """Reads every frame of a video stream, in order, timed by pts from the start of the file.

    `stream` is its number, from 1 (None: the first). `form` is FFmpeg's input format, if it is not to be detected.

    The constructor decodes a first frame. Raises SourceError if the file is not a video or has no stream or frame.
    Decoded on one thread: the fewest CPU seconds per frame, and the only way in which FFmpeg's H.264 decoder marks
    the frames that it concealed (measured: with slice threads it marks none).
    """

    stills = False

    def __init__(self, address: str, name: str, stream: int | None = None, form: str | None = None) -> None:
        self.name = name
        self._address = address
        self._number = stream
        self._form = form
        try:
            with self._open() as container:
                self._describe(container)
                if next(self._decode(container, _DecodeStats()), None) is None:
                    raise SourceError("not one picture in it can be decoded")
        except SourceError as error:
            raise SourceError(f"{name}: {error}") from None
        if self._omitted:
            _log.warning(self._omitted, source=name)

    def _open(self) -> InputContainer:
        try:
            if "://" in self._address:
                return _open_web(self._address)
            return open_media(self._address, "file", form=self._form)
        except SourceError as error:
            raise SourceError(f"{error}{self._explain_open_error()}") from None

    def _explain_open_error(self) -> str:
        """Explain a failure to open an MP4: its index (moov) is written last, and without it the file cannot be
        opened."""
        try:
            with Path(self._address).open("rb") as file:
                cut_off = file.read(8)[4:] == b"ftyp"
        except OSError:
            return ""
        return " (its index may be missing: was the recording cut off before it was finished?)" if cut_off else ""

    def _describe(self, container: InputContainer) -> None:
        stream = video_stream(container, self._number)
        self._omitted = describe_omitted(container, self._number)
        assert stream.time_base is not None  # set for every stream that is being read
        self.time_base = stream.time_base
        self.pixel_aspect = stream.sample_aspect_ratio
        self._step = 1 / (stream.guessed_rate or stream.average_rate or _RATE)
        self.has_size = container.size > 0  # a stream without an end has none
        self._start_s = Fraction(container.start_time or 0, av.time_base)
        self.duration_s = None if not container.duration else container.duration / av.time_base
        self._jump_s = JUMP_S if Flags.ts_discont in Flags(container.format.flags) else DAY_S
        self.is_stated = container.format.name.startswith(_STATED)
        counted = round(self.duration_s / self._step) if self.duration_s else None
        self.frames = stream.frames or counted

    def play(self, from_s: float, to_s: float | None) -> Generator[tuple[int, Image]]:
        """Yield pts (in `time_base`) and image of every frame in from_s <= time < to_s.

        Continues after damage: yields all that can be decoded, then raises DamagedSourceError with what was lost.
        """
        stats = _DecodeStats()
        with closing(self._start_at(from_s, stats)) as pictures:
            for pts, picture in Deinterlacer().pair(self._stop_at(pictures, to_s, stats)):
                yield pts, to_image(picture, self.pixel_aspect)
        self._report_losses(stats, from_s, to_s)

    def _stop_at(
        self, pictures: Iterable[tuple[int, VideoFrame]], to_s: float | None, stats: _DecodeStats
    ) -> Iterator[tuple[int, VideoFrame]]:
        for pts, picture in pictures:
            if to_s is not None and float(pts * self.time_base) >= to_s:
                return
            stats.decoded += 1
            yield pts, picture

    def _start_at(self, from_s: float, stats: _DecodeStats) -> Generator[tuple[int, VideoFrame]]:
        for pts, picture in self._decode_near(from_s, stats):
            if float(pts * self.time_base) >= from_s:
                yield pts, picture
            else:
                # Losses before `from_s` do not count (after a seek, references to frames that were not read).
                stats.undecodable = stats.damaged = 0

    def _decode_near(self, from_s: float, stats: _DecodeStats) -> Generator[tuple[int, VideoFrame]]:
        """Decode from a point before `from_s`: by seeking, or from the beginning if seeking does not lead there (a file
        without an index or without pts)."""
        if from_s > 0:
            with self._open() as container:
                pictures = self._seek_and_decode(container, from_s, stats)
                first = next(pictures, None)
                if first is not None and self._is_before(from_s, first[1].pts):
                    yield from chain([first], pictures)
                    return
        with self._open() as container:
            yield from self._decode(container, stats)

    def _is_before(self, from_s: float, stamp: int | None) -> bool:
        """Whether a time stamp is between the beginning and `from_s`. After a jump of the clock FFmpeg may seek
        anywhere."""
        return stamp is not None and 0 <= stamp * self.time_base - self._start_s <= from_s

    def _seek_and_decode(
        self, container: InputContainer, from_s: float, stats: _DecodeStats
    ) -> Generator[tuple[int, VideoFrame]]:
        try:
            container.seek(int((from_s + self._start_s) * av.time_base))
        except av.FFmpegError:
            return
        yield from self._decode(container, stats)

    def _decode(self, container: InputContainer, stats: _DecodeStats) -> Generator[tuple[int, VideoFrame]]:
        stream = video_stream(container, self._number)
        stream.codec_context.thread_count = 1
        decoder = PictureDecoder(stream)
        timeline = MonotonicPts(self.time_base, round(self._start_s / self.time_base), self._jump_s)
        for packet in self._packets(container, stats):
            if packet.stream.index != stream.index:  # stream_index is wrong for the last, empty packets
                continue
            try:
                pictures = decoder.decode(packet)
            except av.FFmpegError:
                stats.undecodable += 1
                continue
            for picture in pictures:
                stats.damaged += picture.is_corrupt
                yield timeline.map(picture.pts, float(self._step)), picture

    def _packets(self, container: InputContainer, stats: _DecodeStats) -> Generator[av.Packet[Any]]:
        """Yield packets of all streams: the sound may last longer than the video, which is no loss."""
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    end = (packet.pts + (packet.duration or 0)) * packet.time_base - self._start_s
                    stats.reached_s = max(stats.reached_s, float(end))
                yield packet
        except av.FFmpegError as error:
            stats.read_error = reason(error)
        except SourceError as error:
            stats.read_error = str(error)

    def _report_losses(self, stats: _DecodeStats, from_s: float, to_s: float | None) -> None:
        losses = stats.losses()
        if to_s is None and self.is_stated and self.duration_s and self.duration_s - stats.reached_s > _MISSING_S:
            losses.append(f"it breaks off at {stats.reached_s:.2f} s of {self.duration_s:.2f} s")
        if to_s is None and _is_cut_off(Path(self._address)):
            losses.append("the file is cut off: it ends before its header says")
        if self._omitted:
            losses.append(self._omitted)
        if losses:
            about = f" of about {self.frames}" if self.frames and not from_s and to_s is None else ""
            raise DamagedSourceError(f"{self.name}: decoded {stats.decoded}{about} frames; {'; '.join(losses)}")
