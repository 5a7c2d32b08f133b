"""FFmpeg's libraries through PyAV: opening, and errors fit to be shown.

Nothing is opened without a list of what FFmpeg may read it as and by which protocols: by itself it takes any text that
begins as a playlist for one, and follows it to whatever is named there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal, SupportsFloat, cast

import av
from av.codec.context import Flags2
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.credentials import redact_credentials
from stream.errors import SourceError
from stream.media.http_stream import LATE, HttpStream

_HEADERS = 4096
"""Bytes of a packet in which its first slice begins."""
_SLICE = rb"\x00\x00\x01[\x01\x05\x21\x25\x41\x45\x61\x65]"
_FIRST_SLICE = re.compile(_SLICE + rb"(?P<header>.)", re.DOTALL)
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
"""Pictures that belong to a recording and are not its video: a cover, the thumbnails of chapters."""

PLAYLIST = {"http_persistent": "0", "http_multiple": "0"}
"""Where our own client opens what a playlist names: FFmpeg cannot keep a connection that it does not know."""

_CLOCK = {"correct_ts_overflow": "0"}
"""FFmpeg takes any jump back of a transport stream's clock for its wrap after 26.5 hours; `MonotonicPts` does both."""

Place = Literal["file", "http", "body", "rtsp", "device"]
"""Where FFmpeg reads: a file, an address by its own client, a body that ours fetches, a camera, a local device."""

_PROTOCOLS: dict[Place, str] = {
    "file": "file",
    "http": "http,https,tcp,tls",
    "body": "http,https,crypto",  # checked by the HLS demuxer, but opened by our own client
    "rtsp": "rtp,tcp,tls,udp",
    "device": "file",
}
_VIDEO = (
    "3gp,amv,apng,asf,av1,avi,avs2,avs3,cavsvideo,dhav,dirac,dv,evc,flv,gif,gxf,h261,h263,h264,hevc,ivf,kux,live_flv,"
    "m4v,matroska,mjpeg,mjpeg_2000,mov,mpeg,mpegts,mpegvideo,mpjpeg,mxf,nsv,nut,obu,ogg,pva,rm,smjpeg,vc1,vvc,webm,wtv,"
    "xmv,yuv4mpegpipe"
)
_SOUND = "aac,ac3,aiff,au,flac,mp3,wav"
"""Known so that a recording of sound alone is called that."""
_FORMATS: dict[Place, str] = {
    "file": f"{_VIDEO},{_SOUND}",
    "http": f"{_VIDEO},{_SOUND}",
    "body": f"{_VIDEO},{_SOUND},hls,webvtt",
    "rtsp": "rtsp,mpegts",
    "device": "video4linux2,v4l2",
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a connection and each later read may take; the latter is asked anew before each."""

    connect_s: float
    read_s: SupportsFloat


class _OpeningTimeout:
    """PyAV asks how long opening may take before it connects, and again before it reads what the streams hold."""

    def __init__(self, waits: Timeouts) -> None:
        self._waits = waits
        self._connected = False

    def __float__(self) -> float:
        wait = self._waits.read_s if self._connected else self._waits.connect_s
        self._connected = True
        return float(wait)


def open_media(
    address: str | HttpStream,
    place: Place,
    options: Mapping[str, str] | None = None,
    waits: Timeouts | None = None,
    form: str | None = None,
    io_open: Callable[[str, int, dict[str, str]], object] | None = None,
) -> InputContainer:
    """Open a file, address, body or device. `io_open` opens what a playlist names.

    Raises SourceError with the bare reason; the caller knows what to call the source. FFmpeg's own exception holds the
    whole address, secrets and all, and is not chained.
    """
    began = monotonic()
    always = {"protocol_whitelist": _PROTOCOLS[place], "format_whitelist": _FORMATS[place]} | _CLOCK
    timeout = (_OpeningTimeout(waits), waits.read_s) if waits else None
    try:
        return av.open(
            cast(str, address),
            format=form,
            options={**(options or {}), **always},
            timeout=cast(tuple[float, float], timeout),
            metadata_errors="replace",
            io_open=cast(Callable[..., object], io_open),
        )
    except av.FFmpegError as error:
        # Interrupted in the middle of a greeting, FFmpeg says that the data are invalid.
        late = waits is not None and monotonic() - began >= waits.connect_s
        raise SourceError(LATE if late else reason(error)) from None


def reason(error: av.FFmpegError) -> str:
    """What went wrong, without the address that FFmpeg appends."""
    if isinstance(error, av.ExitError):
        return LATE
    if isinstance(error, (av.InvalidDataError, av.ArgumentError)):  # the latter: of a kind that is on no list
        return "no video that can be read"
    return redact_credentials(error.strerror or type(error).__name__)


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The streams of moving pictures. Raises SourceError if there is none."""
    streams = [stream for stream in container.streams.video if not stream.disposition & _COVERS]
    if not streams:
        raise SourceError("there is no video stream in it")
    return streams


def video_stream(container: InputContainer, number: int | None = None) -> VideoStream:
    """The video stream with this number, from 1, or the first. Raises SourceError if there is none to decode."""
    streams = video_streams(container)
    if number is not None and number > len(streams):
        raise SourceError(f"there is no video stream {number} in it, but {len(streams)}")
    stream = streams[(number or 1) - 1]
    if not stream.codec_context:
        raise SourceError("its video is in a format that FFmpeg does not decode here")
    return stream


class PictureDecoder:
    """Decodes one stream, whose packets come in order. `decode` raises av.FFmpegError.

    Where a camera repeats its parameters before each slice of a key frame (GStreamer's config-interval=-1 up to 1.22),
    FFmpeg's parser cuts the key frame into several packets, and its H.264 decoder would take each for a picture of its
    own, the rest of it grey. Of such a stream, and until its first key frame has shown what it is like, a key frame may
    therefore go on in the next packet. Anything else is whole, or damaged: only then does the decoder fill in what is
    missing, and show the picture.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._is_cut: bool | None = None  # whether key frames come in several packets; None: not known yet
        self._before: av.Packet[Any] | None = None

    def decode(self, packet: av.Packet[Any] | None) -> list[VideoFrame]:
        """The pictures that come out when a packet goes in; None: what is left."""
        context = self._stream.codec_context
        if packet is not None and context.name == "h264":
            goes_on = self._goes_on(packet)
            if goes_on or (self._is_cut is None and self._before is not None):
                self._is_cut = goes_on
            self._before = packet if packet.is_keyframe else None
            if goes_on or (packet.is_keyframe and self._is_cut is not False):
                context.flags2 |= Flags2.chunks
            else:
                context.flags2 &= ~Flags2.chunks
        return self._stream.decode(packet)

    def _goes_on(self, packet: av.Packet[Any]) -> bool:
        """Whether a packet is the next part of the key frame that the packet before has begun. Where the beginning of
        another picture was lost on the way, its time is another, too."""
        return self._before is not None and self._before.pts in {None, packet.pts} and _begins_within(packet)


def _begins_within(packet: av.Packet[Any]) -> bool:
    """Whether the first slice of an H.264 packet is not the first of its picture: its header then begins with a
    macroblock number other than 0, whose first bit is 0 (ITU-T H.264, 7.3.3 and 9.1)."""
    found = _FIRST_SLICE.search(bytes(packet)[:_HEADERS])
    return found is not None and found["header"][0] < 0x80


def describe_omitted(container: InputContainer, number: int | None) -> str | None:
    """The message about video streams that are not read; None if one was chosen by its `number`, or there is one
    only."""
    streams = video_streams(container)
    if number is not None or len(streams) == 1:
        return None
    sizes = ", ".join(f"{index} ({each.width}x{each.height})" for index, each in enumerate(streams[1:], 2))
    return (
        f"only video stream 1 of {len(streams)} ({streams[0].width}x{streams[0].height}) was looked at, "
        f"not {sizes}: choose one by the camera's key `stream`"
    )
