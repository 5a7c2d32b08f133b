"""FFmpeg's libraries through PyAV: opening, errors fit to be shown, and pictures as the house wants them."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.data import Image
from stream.errors import SourceError
from stream.redact import redact

_LATE = "no answer in time"
_TEXT = frozenset({"tty"})
"""Demuxers that draw any text file as a film."""
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, -90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, -180: cv2.ROTATE_180}


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


def to_image(picture: VideoFrame) -> Image:
    """H x W x 3 BGR uint8, turned upright as the stream's display matrix asks."""
    image = picture.to_ndarray(format="bgr24", threads=1).astype(np.uint8, copy=False)
    turn = _TURNS.get(picture.rotation)
    return image if turn is None else cv2.rotate(image, turn).astype(np.uint8, copy=False)
