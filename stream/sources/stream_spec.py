"""Specification of a live source: address, options and reconnect policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stream.credentials import redact_credentials

StreamKind = Literal["rtsp", "http", "device", "loop"]
"""loop: a video file that is repeated in real time."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """Address and options of a live stream. Neither `str` nor `repr` shows a secret.

    `form` and `options` are FFmpeg's. `stream` is the number of the video stream to use, from 1, if there are several.
    An address that answers with one JPEG is requested again every `snapshot_s` seconds.
    """

    address: str = field(repr=False)
    kind: StreamKind = "rtsp"
    form: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    stream: int | None = None
    snapshot_s: float = 0.5

    def __str__(self) -> str:
        return redact_credentials(self.address)


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """Seconds to wait: for a connection; for the next frame of a camera that sends many, and for a key frame; and
    between attempts (doubling, with jitter).

    A camera with a lower frame rate has more time than `picture_s` (`stream/sources/watchdog.py`). Unless `endless`, a
    failure of the first connection raises SourceError.
    """

    connect_s: float = 5.0
    picture_s: float = 3.0
    keyframe_s: float = 30.0
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0
    endless: bool = True
