"""What there is to know of a live source before it is opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stream.credentials import redact_credentials

Kind = Literal["rtsp", "http", "device", "loop"]
"""loop: a film that is played again and again, no faster than life."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """Where a live picture comes from and how it is to be opened. Neither `str` nor `repr` shows a secret.

    `form` and `options` are FFmpeg's. `stream` is the number of the video stream to be taken, from 1, where there are
    several. An address that answers with one JPEG is asked for the next `snapshot_s` seconds later.
    """

    address: str = field(repr=False)
    kind: Kind = "rtsp"
    form: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    stream: int | None = None
    snapshot_s: float = 0.5

    def __str__(self) -> str:
        return redact_credentials(self.address)


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """Seconds to wait: for a connection; for the next picture of a camera that sends many, and for a key frame; and
    between tries (doubling, with jitter).

    A camera that sends fewer pictures is given more time than `picture_s` (`stream/sources/watchdog.py`). Unless
    `endless`, a first connection that fails is the end, with a SourceError.
    """

    connect_s: float = 5.0
    picture_s: float = 3.0
    keyframe_s: float = 30.0
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0
    endless: bool = True
