"""One connection to a live source, from opening to whatever ends it."""

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
"""What is read ahead to learn what a stream holds is late when it is shown: one second is enough."""
_ENDED = "the stream ended"
_DAMAGE_LOGGED_AT = frozenset(10**power for power in range(1, 10))
"""Damaged pictures of a connection: the first few, before a key frame, mean nothing."""


class LiveConnection:
    """Delivers the pictures of a feed to an inflow, for as long as it lasts.

    A picture is not thrown away because FFmpeg read it while it looked at what the stream holds: that may be the only
    key frame for a long time.
    """

    def __init__(
        self, feed: StreamSpec, inflow: FrameReceiver, watchdog: Watchdog, closed: Event, connect_s: float
    ) -> None:
        self._feed = feed
        self._inflow = inflow
        self._watchdog = watchdog
        self._closed = closed
        self._connect_s = connect_s
        self._omission_told = False
        self._damaged = 0

    def deliver(self, log: structlog.typing.FilteringBoundLogger) -> str:
        """Connect and deliver. Returns what ended it. Raises SourceError if there is nothing to connect to."""
        self._log = log
        self._watchdog.connected()
        try:
            match self._feed.kind:
                case "http":
                    return self._deliver_body()
                case "loop":
                    return self._deliver_loop()
                case kind:
                    return self._deliver_media(kind)
        except (av.ExitError, SilentError):
            return self._watchdog.silence()
        except av.FFmpegError as error:
            return reason(error)

    def _deliver_media(self, place: Place) -> str:
        feed, waits = self._feed, Timeouts(self._connect_s, self._watchdog)
        with open_media(feed.address, place, dict(feed.options), waits, feed.form) as container:
            return self._decode(_packets(container), self._begin(container), catch_up=DecodeSkipper())

    def _deliver_loop(self) -> str:
        with open_media(self._feed.address, "file") as container:
            stream = self._choose(container)
            stream.codec_context.thread_count = 1
            self._connected(stream.codec_context.name, container.format.name, stream.sample_aspect_ratio)
            return self._decode(_rounds(container, stream), stream, RealtimePacer(self._closed), DecodeSkipper())

    def _deliver_body(self) -> str:
        client = HttpClient(self._feed.address, self._connect_s)
        with client.get(self._watchdog) as body:
            if body.content_type.startswith("multipart/"):
                self._connected("mjpeg", body.content_type)
                self._show(body)
                return _ENDED
            if body.peek(len(START)) == START:
                self._connected("mjpeg", body.content_type)
                return self._poll(client, body)
            return self._deliver_stream(client, body)

    def _deliver_stream(self, client: HttpClient, body: HttpStream) -> str:
        def open_nested(url: str, _flags: int, options: dict[str, str]) -> object:
            return client.open_nested(self._watchdog, url, options)

        waits = Timeouts(self._connect_s, self._watchdog)
        with open_media(body, "body", _PROBING, waits, io_open=open_nested) as container:
            return self._decode(_packets(container), self._begin(container), Playout(self._closed))

    def _begin(self, container: InputContainer) -> VideoStream:
        stream = self._choose(container)
        stream.thread_type = "SLICE"  # frame threads would hold pictures back
        stream.codec_context.flags |= Flags.low_delay
        self._connected(stream.codec_context.name, container.format.name, stream.sample_aspect_ratio)
        return stream

    def _choose(self, container: InputContainer) -> VideoStream:
        omitted = describe_omitted(container, self._feed.stream)
        if omitted and not self._omission_told:
            self._log.warning(omitted)
            self._omission_told = True
        return video_stream(container, self._feed.stream)

    def _decode(
        self,
        packets: Iterable[av.Packet[Any]],
        stream: VideoStream,
        pace: RealtimePacer | Playout | None = None,
        catch_up: DecodeSkipper | None = None,
    ) -> str:
        """Deliver the pictures of packets. A body is given no `catch_up`: its packets come in bursts, and the stamps of
        those that wait for their turn say nothing of the decoder."""
        decoder = PictureDecoder(stream)
        for packet in packets:
            if packet.stream_index == stream.index:
                self._watchdog.packet()
                self._decode_packet(packet, stream, decoder, pace, catch_up)
            if self._closed.is_set():
                return "closed"
            if problem := self._watchdog.complaint():
                return problem
        for picture in _pictures(None, decoder):
            self._hand_over(picture, pace)
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
        pictures = _pictures(packet, decoder)
        if not pictures and stream.codec_context.skip_frame != "DEFAULT":
            self._inflow.left_out()
        for picture in pictures:
            self._hand_over(picture, pace)

    def _connected(self, codec: str, form: str, pixel_aspect: Fraction | None = None) -> None:
        self._log.info("connected to the camera", codec=codec, form=form)
        self._restart(pixel_aspect)

    def _restart(self, pixel_aspect: Fraction | None) -> None:
        """The time stamps that follow begin a new count."""
        self._watchdog.connected()
        self._inflow.connected(pixel_aspect)

    def _hand_over(self, picture: VideoFrame, pace: RealtimePacer | Playout | None) -> None:
        self._watchdog.picture()
        if picture.is_corrupt:
            self._damaged += 1
            if self._damaged in _DAMAGE_LOGGED_AT:
                self._log.warning("pictures come damaged, as where packets are lost", so_far=self._damaged)
        if pace and picture.time is not None:
            pace.wait(picture.time)
            self._watchdog.resume()
        self._inflow.arrived(picture)

    def _poll(self, client: HttpClient, body: HttpStream) -> str:
        """The pictures of an address that answers with JPEG. Where one answer is one picture, the next is asked for."""
        shown, number = b"", 1
        while number == 1 and not self._closed.is_set():
            asked = monotonic()
            with body:
                number, shown = self._show(body, shown)
            self._closed.wait(max(0.0, asked + self._feed.snapshot_s - monotonic()))
            self._watchdog.resume()
            body = client.get(self._watchdog) if number == 1 else body
        return _ENDED

    def _show(self, body: HttpStream, before: bytes | None = None) -> tuple[int, bytes]:
        """Decode the JPEGs of an answer: how many there were, and the digest of the last. The very picture that was
        shown `before` is not a new one: the camera has taken none."""
        decoder = av.CodecContext.create("mjpeg", "r")
        number, digest = 0, b""
        for jpeg in split_jpegs(partial(self._read, body)):
            number += 1
            self._watchdog.packet()
            digest = sha256(jpeg).digest()
            for picture in _decoded(decoder, jpeg):
                self._watchdog.picture()
                if digest != before:
                    self._inflow.arrived(picture, timed=False)
        return number, digest

    def _read(self, body: HttpStream, size: int) -> bytes:
        if problem := self._watchdog.complaint():
            raise SourceError(problem)
        return b"" if self._closed.is_set() else body.read(size)


def _packets(container: InputContainer) -> Iterator[av.Packet[Any]]:
    """Packets, each waited for as long as the watchdog says by then: PyAV asks whenever it begins to demultiplex."""
    while (packet := next(container.demux(), None)) and packet.size:
        yield packet


def _rounds(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[Any]]:
    """A film's packets over and over, with stamps that go on; a film without any ends at once."""
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


def _pictures(packet: av.Packet[Any] | None, decoder: PictureDecoder) -> list[VideoFrame]:
    try:
        return decoder.decode(packet)
    except av.FFmpegError:
        return []  # damaged on the way; the watchdog counts pictures, too


def _decoded(decoder: VideoCodecContext, jpeg: bytes) -> list[VideoFrame]:
    try:
        return decoder.decode(av.Packet(jpeg))
    except av.FFmpegError:
        return []
