"""Recorded sources: every frame in order, with its own time, at full speed or in real time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from threading import Event
from typing import Literal, Protocol

from stream.errors import SourceError, UsageError
from stream.interfaces import always
from stream.sources.timing import RealtimePacer
from stream.values import Frame, Image


@dataclass(frozen=True, slots=True)
class PlaybackOptions:
    """How a recording is played: the part from_s <= time < to_s, in seconds from its start.

    `start_time` (timezone-aware) is when the recording began; it gives frames their wall time. `fps` is the rate of
    image sequences.
    """

    start_time: datetime | None = None
    pace: Literal["fast", "realtime"] = "fast"
    from_s: float = 0.0
    to_s: float | None = None
    fps: Fraction = Fraction(25)

    def __post_init__(self) -> None:
        if self.from_s < 0 or (self.to_s is not None and self.to_s <= self.from_s):
            end = "its end" if self.to_s is None else f"{self.to_s:g} s"
            raise UsageError(f"no part of a recording lies from {self.from_s:g} s to {end}")
        if self.start_time is not None and self.start_time.tzinfo is None:
            raise UsageError(f"the start time {self.start_time.isoformat()} needs a time zone, such as +00:00")
        if self.fps <= 0:
            raise UsageError(f"{self.fps} pictures a second is no rate")


WHOLE = PlaybackOptions()
"""From beginning to end, at full speed."""


class MediaReader(Protocol):
    """Reads a recording. `frames` and `duration_s` are from its header, None if that has none; unless `is_stated`, they
    are estimates. `stills`: consecutive frames are independent images, in files of their own."""

    @property
    def name(self) -> str: ...
    @property
    def time_base(self) -> Fraction: ...
    @property
    def duration_s(self) -> float | None: ...
    @property
    def frames(self) -> int | None: ...
    @property
    def is_stated(self) -> bool: ...
    @property
    def stills(self) -> bool: ...
    def play(self, from_s: float, to_s: float | None) -> Generator[tuple[int, Image]]:
        """Yield pts and image of each frame in from_s <= time < to_s. Raises DamagedSourceError at the end if a part
        could not be read."""
        ...


class RecordedSource:
    """A recording as a source. No frame is dropped; `frames` may be called again, and then starts again. `ended`: it
    has been played to the end."""

    live = False

    def __init__(self, recording: MediaReader, camera: str, playback: PlaybackOptions) -> None:
        stated_s = recording.duration_s if recording.is_stated else None
        if stated_s is not None and playback.from_s >= stated_s:
            raise _nothing_to_play(playback.from_s, f"{recording.name}: lasts {stated_s:.2f} s")
        self.camera = camera
        self.stills = recording.stills
        self._recording = recording
        self._playback = playback
        self._closed = Event()
        self.ended = False

    @property
    def duration_s(self) -> float | None:
        """Seconds that will be played, None if the duration is unknown. The progress at a frame is
        `(frame.pts_s - from_s) / duration_s`."""
        whole = self._recording.duration_s
        if whole is None:
            return None
        end_s = whole if self._playback.to_s is None else min(whole, self._playback.to_s)
        return max(end_s - self._playback.from_s, 0.0)

    @property
    def expected_frames(self) -> int | None:
        """Number of frames that will be played: exact for image files, else estimated from the header and mean rate."""
        if not self._recording.frames or not self._recording.duration_s or self.duration_s is None:
            return None
        return max(1, round(self._recording.frames * self.duration_s / self._recording.duration_s))

    def frames(self, _wanted: Callable[[float], bool] = always, /) -> Iterator[Frame]:
        """Yield every frame of the part to play, wanted or not. Raises DamagedSourceError after the last if any was
        lost."""
        self.ended = False
        try:
            yield from self._play()
        finally:
            self.ended = True

    def _play(self) -> Iterator[Frame]:
        pacer = RealtimePacer(self._closed) if self._playback.pace == "realtime" else None
        index = -1
        with closing(self._recording.play(self._playback.from_s, self._playback.to_s)) as pictures:
            for index, (pts, image) in enumerate(pictures):
                if pacer:
                    pacer.wait(float(pts * self._recording.time_base))
                if self._closed.is_set():
                    return
                yield self._frame(index, pts, image)
        if index < 0 and self._playback.from_s and not self._closed.is_set():
            raise _nothing_to_play(self._playback.from_s, f"{self._recording.name}: is shorter")

    def _frame(self, index: int, pts: int, image: Image) -> Frame:
        time_base = self._recording.time_base
        start = self._playback.start_time
        wall_time = None if start is None else start + timedelta(seconds=float(pts * time_base))
        return Frame(self.camera, index, pts, time_base, wall_time, image)

    def close(self) -> None:
        self._closed.set()


def _nothing_to_play(from_s: float, why: str) -> SourceError:
    return SourceError(f"{why}; there is nothing to play from {from_s:g} s on")
