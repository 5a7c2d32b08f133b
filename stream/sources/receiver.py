"""Receiver of a live camera: makes frames of the images that arrive, and keeps the newest."""

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
"""Time base of every live source, independent of its connections."""


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
    """Passes frames from the thread that receives them to the thread that processes them.

    A frame's index counts what the camera sent, so that a gap in it is a drop. Media time starts at 0 and follows the
    stream's time stamps; the clock replaces them over a reconnection and in streams that have none.
    """

    def __init__(self, camera: str, stalled_s: float) -> None:
        self._camera = camera
        self._status = SourceStatusTracker(stalled_s)
        self._newest: LatestQueue[str, _ReceivedFrame] = LatestQueue()
        self._timeline = MonotonicPts(TIME_BASE, jump_s=JUMP_S)
        self._count = self._skipped = 0
        self._pixel_aspect: Fraction | None = None
        self._deinterlacer = Deinterlacer()

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """Yield the newest frame each time, until `close`. An image for which `wanted`, called with its media time in
        seconds, is False is not converted and gives no frame. `wanted` may wait; then the newest image is used."""
        while batch := self._newest.get_batch():
            for accepted in filter(lambda each: wanted(each.pts_s), batch):
                received = self._newest_since(accepted)
                image = to_image(received.picture, received.pixel_aspect)
                yield Frame(
                    self._camera, received.index, received.pts, TIME_BASE, received.wall_time, image, received.arrived_s
                )

    def _newest_since(self, received: _ReceivedFrame) -> _ReceivedFrame:
        """The newest frame that has arrived since, or `received`."""
        since = self._newest.get_batch(timeout_s=0)
        self._skipped += len(since)
        return since[-1] if since else received

    def connected(self, pixel_aspect: Fraction | None = None) -> None:
        """Start a new connection: its time stamps are unrelated to the previous ones; `pixel_aspect` is width by
        height."""
        self._timeline.restart()
        self._deinterlacer = Deinterlacer()
        self._pixel_aspect = pixel_aspect

    def push(self, picture: VideoFrame, timed: bool = True) -> None:
        """Add an image. Unless it is `timed`, its time stamp is ignored."""
        elapsed_s = self._status.record_arrival()
        for progressive in self._deinterlacer.push(picture):
            pts = self._timeline.map(_stamp(progressive) if timed else None, elapsed_s)
            received = _ReceivedFrame(self._count, pts, datetime.now(UTC), monotonic(), progressive, self._pixel_aspect)
            self._newest.put(self._camera, received)
            self._count += 1

    def count_skipped(self) -> None:
        """Count an image that was not decoded, for lack of time."""
        self._skipped += 1
        self._count += 1

    def record_loss(self, problem: str) -> None:
        """Record that the connection failed or ended."""
        self._status.record_loss(problem)

    @property
    def has_frames(self) -> bool:
        """Whether any image has arrived so far."""
        return self._status.has_frames

    def status(self) -> SourceStatus:
        return self._status.status(self._newest.dropped + self._skipped)

    def close(self) -> None:
        """End `frames` at once."""
        self._newest.close()


def _stamp(picture: VideoFrame) -> int | None:
    if picture.pts is None or picture.time_base is None:
        return None
    return round(picture.pts * picture.time_base / TIME_BASE)


SILENT_S = 3.0
"""Longest normal time without an image."""


class PushSource:
    """A live source that receives images over WebRTC (`stream/webrtc/ingest.py`); it waits while no peer sends any."""

    live = True

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self.receiver = FrameReceiver(camera, stalled_s=SILENT_S / 2)

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """Yield the newest frame each time, of those that are `wanted`, until `close`."""
        return self.receiver.frames(wanted)

    def status(self) -> SourceStatus:
        return self.receiver.status()

    def close(self) -> None:
        """End `frames` at once."""
        self.receiver.close()
