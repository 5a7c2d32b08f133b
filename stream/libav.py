"""FFmpeg's libraries through PyAV: opening, and errors fit to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.redact import redact

_LATE = "no answer in time"
_TEXT = frozenset({"tty"})
"""Demuxers that draw any text file as a film."""


def open_media(
    address: str,
    form: str | None = None,
    options: Mapping[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> InputContainer:
    """Open a file, address or device. `timeout` is the patience in seconds for opening and for each read.

    Raises SourceError with the bare reason; the caller knows what to call the source. FFmpeg's own exception holds the
    whole address, secrets and all, and is not chained.
    """
    began = monotonic()
    try:
        return av.open(address, format=form, options=dict(options or {}), timeout=timeout, metadata_errors="replace")
    except av.FFmpegError as error:
        # Interrupted in the middle of a greeting, FFmpeg says that the data are invalid.
        late = timeout is not None and monotonic() - began >= timeout[0]
        raise SourceError(_LATE if late else reason(error)) from None


def reason(error: av.FFmpegError) -> str:
    """What went wrong, without the address that FFmpeg appends."""
    if isinstance(error, av.ExitError):
        return _LATE
    if isinstance(error, av.InvalidDataError):
        return "no video that can be read"
    return redact(error.strerror or type(error).__name__)


def video_stream(container: InputContainer) -> VideoStream:
    """The first video stream that is not a cover picture. Raises SourceError if there is none to decode."""
    if container.format.name in _TEXT:
        raise SourceError("not a video")
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if not stream.codec_context:
            raise SourceError("its video is in a format that FFmpeg does not decode here")
        return stream
    raise SourceError("there is no video stream in it")
