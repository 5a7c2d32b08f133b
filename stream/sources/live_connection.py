"""One connection to a live source, from opening to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from hashlib import sha256
from threading import Event
from time import monotonic
from typing import Any

import av
import structlog
from av.codec.context import Flags
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.media.decode_skipping import DecodeSkipper
from stream.media.http_client import HttpClient
from stream.media.http_stream import HttpStream, SilentError
from stream.media.jpeg_splitter import START, split_jpegs
from stream.media.pyav import (
    PLAYLIST,
    PictureDecoder,
    Place,
    Timeouts,
    describe_omitted,
    open_media,
    reason,
    video_stream,
)
from stream.sources.receiver import FrameReceiver
from stream.sources.stream_spec import StreamSpec
from stream.sources.timing import Playout, RealtimePacer
from stream.sources.watchdog import Watchdog

_PROBING = {"analyzeduration": "1000000", "fpsprobesize": "0"} | PLAYLIST
"""What FFmpeg reads ahead to detect the streams delays the picture: one second is enough."""
_ENDED = "the stream ended"
_DAMAGE_LOGGED_AT = frozenset(10**power for power in range(1, 10))
"""Numbers of damaged frames at which a warning is logged. The first few, before a key frame, are normal."""


class LiveConnection:
    """Delivers the frames of a stream to a receiver, until the connection ends.

    Frames that FFmpeg read while it detected the streams are delivered, too: they may hold the only key frame for a
    long time.
    """

    def __init__(
        self, spec: StreamSpec, receiver: FrameReceiver, watchdog: Watchdog, closed: Event, connect_s: float
    ) -> None:
        self._spec = spec
        self._receiver = receiver
        self._watchdog = watchdog
        self._closed = closed
        self._connect_s = connect_s
        self._omission_logged = False
        self._damaged = 0

    def deliver(self, log: structlog.typing.FilteringBoundLogger) -> str:
        """Connect and deliver. Returns the reason of the end. Raises SourceError if it cannot connect."""
        self._log = log
        self._watchdog.reset()
        try:
            match self._spec.kind:
                case "http":
                    return self._deliver_body()
                case "loop":
                    return self._deliver_loop()
                case kind:
                    return self._deliver_media(kind)
        except (av.ExitError, SilentError):
            return self._watchdog.report_silence()
        except av.FFmpegError as error:
            return reason(error)

    def _deliver_media(self, place: Place) -> str:
        spec, waits = self._spec, Timeouts(self._connect_s, self._watchdog)
        with open_media(spec.address, place, dict(spec.options), waits, spec.form) as container:
            return self._decode(_read_packets(container), self._open_stream(container), catch_up=DecodeSkipper())

    def _deliver_loop(self) -> str:
        with open_media(self._spec.address, "file") as container:
            stream = self._select_stream(container)
            stream.codec_context.thread_count = 1
            self._log_connection(stream.codec_context.name, container.format.name, stream.sample_aspect_ratio)
            return self._decode(_loop_packets(container, stream), stream, RealtimePacer(self._closed), DecodeSkipper())

    def _deliver_body(self) -> str:
        client = HttpClient(self._spec.address, self._connect_s)
        with client.get(self._watchdog) as body:
            if body.content_type.startswith("multipart/"):
                self._log_connection("mjpeg", body.content_type)
                self._deliver_jpegs(body)
                return _ENDED
            if body.peek(len(START)) == START:
                self._log_connection("mjpeg", body.content_type)
                return self._poll(client, body)
            return self._deliver_stream(client, body)

    def _deliver_stream(self, client: HttpClient, body: HttpStream) -> str:
        def open_nested(url: str, _flags: int, options: dict[str, str]) -> object:
            return client.open_nested(self._watchdog, url, options)

        waits = Timeouts(self._connect_s, self._watchdog)
        with open_media(body, "body", _PROBING, waits, io_open=open_nested) as container:
            return self._decode(_read_packets(container), self._open_stream(container), Playout(self._closed))

    def _open_stream(self, container: InputContainer) -> VideoStream:
        stream = self._select_stream(container)
        stream.thread_type = "SLICE"  # frame threads would hold pictures back
        stream.codec_context.flags |= Flags.low_delay
        self._log_connection(stream.codec_context.name, container.format.name, stream.sample_aspect_ratio)
        return stream

    def _select_stream(self, container: InputContainer) -> VideoStream:
        omitted = describe_omitted(container, self._spec.stream)
        if omitted and not self._omission_logged:
            self._log.warning(omitted)
            self._omission_logged = True
        return video_stream(container, self._spec.stream)

    def _decode(
        self,
        packets: Iterable[av.Packet[Any]],
        stream: VideoStream,
        pace: RealtimePacer | Playout | None = None,
        catch_up: DecodeSkipper | None = None,
    ) -> str:
        """Decode packets and deliver their frames. `catch_up` is not for HTTP bodies: their packets come in bursts, so
        that their time stamps do not show how late the decoder is."""
        decoder = PictureDecoder(stream)
        for packet in packets:
            if packet.stream_index == stream.index:
                self._watchdog.record_packet()
                self._decode_packet(packet, stream, decoder, pace, catch_up)
            if self._closed.is_set():
                return "closed"
            if problem := self._watchdog.find_problem():
                return problem
        for picture in _decode_or_empty(None, decoder):
            self._deliver_frame(picture, pace)
        return _ENDED

    def _decode_packet(
        self,
        packet: av.Packet[Any],
        stream: VideoStream,
        decoder: PictureDecoder,
        pace: RealtimePacer | Playout | None,
        catch_up: DecodeSkipper | None,
    ) -> None:
        if catch_up and packet.dts is not None:
            stamp_s = float(packet.dts * packet.time_base)
            stream.codec_context.skip_frame = catch_up.choose_discard(stamp_s, packet.is_keyframe)
        pictures = _decode_or_empty(packet, decoder)
        if not pictures and stream.codec_context.skip_frame != "DEFAULT":
            self._receiver.count_skipped()
        for picture in pictures:
            self._deliver_frame(picture, pace)

    def _log_connection(self, codec: str, form: str, pixel_aspect: Fraction | None = None) -> None:
        self._log.info("connected to the camera", codec=codec, form=form)
        self._restart(pixel_aspect)

    def _restart(self, pixel_aspect: Fraction | None) -> None:
        """Start a new time line: the next time stamps are unrelated to the previous ones."""
        self._watchdog.reset()
        self._receiver.connected(pixel_aspect)

    def _deliver_frame(self, picture: VideoFrame, pace: RealtimePacer | Playout | None) -> None:
        self._watchdog.record_frame()
        if picture.is_corrupt:
            self._damaged += 1
            if self._damaged in _DAMAGE_LOGGED_AT:
                self._log.warning("pictures come damaged, as where packets are lost", so_far=self._damaged)
        if pace and picture.time is not None:
            pace.wait(picture.time)
            self._watchdog.resume()
        self._receiver.push(picture)

    def _poll(self, client: HttpClient, body: HttpStream) -> str:
        """Deliver the images of an address that answers with JPEG. If an answer is one image, request the next."""
        digest, number = b"", 1
        while number == 1 and not self._closed.is_set():
            requested = monotonic()
            with body:
                number, digest = self._deliver_jpegs(body, digest)
            self._closed.wait(max(0.0, requested + self._spec.snapshot_s - monotonic()))
            self._watchdog.resume()
            body = client.get(self._watchdog) if number == 1 else body
        return _ENDED

    def _deliver_jpegs(self, body: HttpStream, before: bytes | None = None) -> tuple[int, bytes]:
        """Decode the JPEGs of an answer; returns their number and the digest of the last. An image with the digest
        `before` is skipped: the camera has sent the same one again."""
        decoder = av.CodecContext.create("mjpeg", "r")
        number, digest = 0, b""
        for jpeg in split_jpegs(partial(self._read, body)):
            number += 1
            self._watchdog.record_packet()
            digest = sha256(jpeg).digest()
            for picture in _decode_jpeg(decoder, jpeg):
                self._watchdog.record_frame()
                if digest != before:
                    self._receiver.push(picture, timed=False)
        return number, digest

    def _read(self, body: HttpStream, size: int) -> bytes:
        if problem := self._watchdog.find_problem():
            raise SourceError(problem)
        return b"" if self._closed.is_set() else body.read(size)


def _read_packets(container: InputContainer) -> Iterator[av.Packet[Any]]:
    """Yield packets, each with the watchdog's present timeout: PyAV reads it at each start of demultiplexing."""
    while (packet := next(container.demux(), None)) and packet.size:
        yield packet


def _loop_packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[Any]]:
    """Yield a file's packets repeatedly, with increasing time stamps; without any packets, end at once."""
    shift = 0
    while True:
        first = end = None
        for packet in container.demux(stream):
            if packet.dts is not None:
                first = packet.dts if first is None else first
                end = packet.dts + max(1, packet.duration or 0)
                packet.dts += shift
                packet.pts = None if packet.pts is None else packet.pts + shift
            yield packet
        if first is None or end is None:
            return
        shift += end - first
        container.seek(0)


def _decode_or_empty(packet: av.Packet[Any] | None, decoder: PictureDecoder) -> list[VideoFrame]:
    try:
        return decoder.decode(packet)
    except av.FFmpegError:
        return []  # damaged in transit; the watchdog also counts decoded frames


def _decode_jpeg(decoder: VideoCodecContext, jpeg: bytes) -> list[VideoFrame]:
    try:
        return decoder.decode(av.Packet(jpeg))
    except av.FFmpegError:
        return []
