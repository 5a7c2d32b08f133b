"""Pictures as they arrive from a live camera, made into frames: the newest wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from time import monotonic

from av.video.frame import VideoFrame

from stream.interfaces import always
from stream.media.frame_conversion import Deinterlacer, to_image
from stream.queues import LatestQueue
from stream.sources.status import SourceStatus, SourceStatusTracker
from stream.sources.timing import JUMP_S, MonotonicPts
from stream.values import Frame

TIME_BASE = Fraction(1, 90_000)
"""Media time of every live source, whatever its connections count in."""


@dataclass(frozen=True, slots=True)
class _ReceivedFrame:
    index: int
    pts: int
    wall_time: datetime
    arrived_s: float
    picture: VideoFrame
    pixel_aspect: Fraction | None

    @property
    def pts_s(self) -> float:
        return float(self.pts * TIME_BASE)


class FrameReceiver:
    """The hand-over from whoever receives a camera's pictures to whoever takes its frames.

    A frame's index counts what the camera sent, so that a gap in it is a drop. Media time starts at 0 and follows the
    stream's stamps; the clock stands in for them over a reconnection and in streams that have none.
    """

    def __init__(self, camera: str, stalled_s: float) -> None:
        self._camera = camera
        self._health = SourceStatusTracker(stalled_s)
        self._newest: LatestQueue[str, _ReceivedFrame] = LatestQueue()
        self._timeline = MonotonicPts(TIME_BASE, jump_s=JUMP_S)
        self._count = self._left_out = 0
        self._pixel_aspect: Fraction | None = None
        self._deinterlacer = Deinterlacer()

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """The newest frame each time, until it is closed. A picture that is not `wanted`, which is asked its media time
        in seconds, is not converted and gives no frame. To answer may take time: then what has come meanwhile is newer.
        """
        while shots := self._newest.get_batch():
            for before in filter(lambda shot: wanted(shot.pts_s), shots):
                shot = self._newer(before)
                image = to_image(shot.picture, shot.pixel_aspect)
                yield Frame(self._camera, shot.index, shot.pts, TIME_BASE, shot.wall_time, image, shot.arrived_s)

    def _newer(self, shot: _ReceivedFrame) -> _ReceivedFrame:
        """What has come since, if anything has."""
        since = self._newest.get_batch(timeout_s=0)
        self._left_out += len(since)
        return since[-1] if since else shot

    def connected(self, pixel_aspect: Fraction | None = None) -> None:
        """The stamps that follow begin a new count; a pixel's width by its height is the stream's."""
        self._timeline.restart()
        self._deinterlacer = Deinterlacer()
        self._pixel_aspect = pixel_aspect

    def arrived(self, picture: VideoFrame, timed: bool = True) -> None:
        """A picture came. Unless it is `timed`, its stamp tells nothing."""
        elapsed_s = self._health.arrived()
        for whole in self._deinterlacer.push(picture):
            pts = self._timeline.map(_stamp(whole) if timed else None, elapsed_s)
            shot = _ReceivedFrame(self._count, pts, datetime.now(UTC), monotonic(), whole, self._pixel_aspect)
            self._newest.put(self._camera, shot)
            self._count += 1

    def left_out(self) -> None:
        """A picture came and was not decoded: there was no time."""
        self._left_out += 1
        self._count += 1

    def lost(self, problem: str) -> None:
        """The connection failed or ended."""
        self._health.lost(problem)

    @property
    def seen(self) -> bool:
        """Whether there ever was a picture."""
        return self._health.seen

    def status(self) -> SourceStatus:
        return self._health.status(self._newest.dropped + self._left_out)

    def close(self) -> None:
        """End `frames` at once."""
        self._newest.close()


def _stamp(picture: VideoFrame) -> int | None:
    if picture.pts is None or picture.time_base is None:
        return None
    return round(picture.pts * picture.time_base / TIME_BASE)


SILENT_S = 3.0
"""Without a picture: something is wrong."""


class PushSource:
    """A live source that receives pictures over WebRTC (`stream/webrtc/ingest.py`); it waits while nobody sends any."""

    live = True

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self.inflow = FrameReceiver(camera, stalled_s=SILENT_S / 2)

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """The newest frame each time of those that are `wanted`, until `close`."""
        return self.inflow.frames(wanted)

    def status(self) -> SourceStatus:
        return self.inflow.status()

    def close(self) -> None:
        """End `frames` at once."""
        self.inflow.close()
