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
"""Pictures a second where a file does not say."""
_STATED = ("mov", "matroska", "avi", "flv", "asf")
"""Containers whose header says how long the recording is; for others FFmpeg guesses from what is there."""
_PLAYLIST = b"#EXTM3U"
_AVI = frozenset({b"AVI ", b"AVIX"})
_MISSING_S = 0.5
"""A recording that ends this much before its stated end has been cut off; less is rounding in the header."""
_WAITS = Timeouts(connect_s=5.0, read_s=10.0)
"""For a file on a web server."""


def has_size(address: str) -> bool:
    """Whether what lies at a web address says how long it is: a file does, a camera does not. Raises SourceError."""
    try:
        with HttpClient(address, _WAITS.connect_s).get(_WAITS.read_s) as body:
            return body.size is not None
    except SourceError as error:
        raise SourceError(f"{redact_credentials(address)}: {error}") from None


def _open_web(address: str) -> InputContainer:
    """A file, which FFmpeg asks for part by part where our own client was led, or a playlist."""
    client = HttpClient(address, _WAITS.connect_s)
    body = client.get(_WAITS.read_s)
    if body.size is not None and body.peek(len(_PLAYLIST)) != _PLAYLIST:
        body.close()
        return open_media(client.with_login(body.url), "http", {"max_redirects": "0"}, _WAITS)

    def open_nested(url: str, _flags: int, options: dict[str, str]) -> object:
        return client.open_nested(_WAITS.read_s, url, options)

    return open_media(body, "body", PLAYLIST, _WAITS, io_open=open_nested)


def _is_cut_off(path: Path) -> bool:
    """Whether an AVI file ends before its last RIFF chunk, and so its index, does. Without an index FFmpeg reads what
    is there and takes that for the whole."""
    try:
        with path.open("rb") as file:
            return _breaks_off(file, path.stat().st_size)
    except OSError:
        return False


def _breaks_off(file: IO[bytes], size: int) -> bool:
    at = 0
    while (header := _riff_header(file, at)) and header[1] in _AVI:
        at += 8 + header[0] + header[0] % 2
        if not header[0] or at > size + 1:
            return True
    return False


def _riff_header(file: IO[bytes], at: int) -> tuple[int, bytes] | None:
    """Size and form of the RIFF chunk at this place, if there is one."""
    file.seek(at)
    start = file.read(12)
    return (int.from_bytes(start[4:8], "little"), start[8:]) if start[:4] == b"RIFF" else None


@dataclass(slots=True)
class _DecodeStats:
    """What came out of a file, and what did not."""

    decoded: int = 0
    undecodable: int = 0
    damaged: int = 0
    reached_s: float = 0.0
    broke: str | None = None

    def losses(self) -> list[str]:
        said = [
            (self.undecodable, f"packets that could not be decoded: {self.undecodable}"),
            (self.damaged, f"pictures that were damaged: {self.damaged}"),
            (self.broke, f"reading broke off: {self.broke}"),
        ]
        return [words for lost, words in said if lost]


class VideoFile:
    """Every picture of the first video stream, in order, timed by pts from the start of the file.

    `form` is what FFmpeg reads a file as, where it is not to find out by itself.

    Opening looks for a stream and a first picture. Raises SourceError if the file is not a video or holds neither.
    Decoded on one thread: the fewest CPU seconds per picture, and the only way in which FFmpeg's H.264 decoder marks
    the pictures that it patched up (measured: with slice threads it marks none).
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
                if next(self._decoded(container, _DecodeStats()), None) is None:
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
            raise SourceError(f"{error}{self._hint()}") from None

    def _hint(self) -> str:
        """An MP4 gets its index (moov) last: without it the file cannot be opened at all."""
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
        """Pts (in `time_base`) and picture of every frame of from_s <= time < to_s.

        Damage does not stop it: what can be decoded comes out, then DamagedSourceError says what was lost.
        """
        tally = _DecodeStats()
        with closing(self._from(from_s, tally)) as pictures:
            for pts, picture in Deinterlacer().pair(self._until(pictures, to_s, tally)):
                yield pts, to_image(picture, self.pixel_aspect)
        self._complain(tally, from_s, to_s)

    def _until(
        self, pictures: Iterable[tuple[int, VideoFrame]], to_s: float | None, tally: _DecodeStats
    ) -> Iterator[tuple[int, VideoFrame]]:
        for pts, picture in pictures:
            if to_s is not None and float(pts * self.time_base) >= to_s:
                return
            tally.decoded += 1
            yield pts, picture

    def _from(self, from_s: float, tally: _DecodeStats) -> Generator[tuple[int, VideoFrame]]:
        for pts, picture in self._sought(from_s, tally):
            if float(pts * self.time_base) >= from_s:
                yield pts, picture
            else:
                # What was lost before the wanted part (after a seek: references to pictures not read) is no loss.
                tally.undecodable = tally.damaged = 0

    def _sought(self, from_s: float, tally: _DecodeStats) -> Generator[tuple[int, VideoFrame]]:
        """Pictures from some way before `from_s`: by seeking, or where that does not land before it (a file without
        an index or without pts), from the beginning."""
        if from_s > 0:
            with self._open() as container:
                pictures = self._after_seek(container, from_s, tally)
                first = next(pictures, None)
                if first is not None and self._lies_before(from_s, first[1].pts):
                    yield from chain([first], pictures)
                    return
        with self._open() as container:
            yield from self._decoded(container, tally)

    def _lies_before(self, from_s: float, stamp: int | None) -> bool:
        """Whether a picture with this stamp lies between the beginning and `from_s`. After a jump of the clock FFmpeg
        lands anywhere."""
        return stamp is not None and 0 <= stamp * self.time_base - self._start_s <= from_s

    def _after_seek(
        self, container: InputContainer, from_s: float, tally: _DecodeStats
    ) -> Generator[tuple[int, VideoFrame]]:
        try:
            container.seek(int((from_s + self._start_s) * av.time_base))
        except av.FFmpegError:
            return
        yield from self._decoded(container, tally)

    def _decoded(self, container: InputContainer, tally: _DecodeStats) -> Generator[tuple[int, VideoFrame]]:
        stream = video_stream(container, self._number)
        stream.codec_context.thread_count = 1
        decoder = PictureDecoder(stream)
        timeline = MonotonicPts(self.time_base, round(self._start_s / self.time_base), self._jump_s)
        for packet in self._packets(container, tally):
            if packet.stream.index != stream.index:  # of the last, empty packets, stream_index says nothing
                continue
            try:
                pictures = decoder.decode(packet)
            except av.FFmpegError:
                tally.undecodable += 1
                continue
            for picture in pictures:
                tally.damaged += picture.is_corrupt
                yield timeline.map(picture.pts, float(self._step)), picture

    def _packets(self, container: InputContainer, tally: _DecodeStats) -> Generator[av.Packet[Any]]:
        """Packets of all streams: the sound may go on after the picture, and then nothing is missing."""
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    end = (packet.pts + (packet.duration or 0)) * packet.time_base - self._start_s
                    tally.reached_s = max(tally.reached_s, float(end))
                yield packet
        except av.FFmpegError as error:
            tally.broke = reason(error)
        except SourceError as error:
            tally.broke = str(error)

    def _complain(self, tally: _DecodeStats, from_s: float, to_s: float | None) -> None:
        losses = tally.losses()
        if to_s is None and self.is_stated and self.duration_s and self.duration_s - tally.reached_s > _MISSING_S:
            losses.append(f"it breaks off at {tally.reached_s:.2f} s of {self.duration_s:.2f} s")
        if to_s is None and _is_cut_off(Path(self._address)):
            losses.append("the file is cut off: it ends before its header says")
        if self._omitted:
            losses.append(self._omitted)
        if losses:
            about = f" of about {self.frames}" if self.frames and not from_s and to_s is None else ""
            raise DamagedSourceError(f"{self.name}: decoded {tally.decoded}{about} frames; {'; '.join(losses)}")
