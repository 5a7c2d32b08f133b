"""Live sources: webcams, RTSP, and HTTP (MJPEG, single pictures, HLS, MPEG-TS, MP4). The newest picture wins, and a
lost connection is renewed for as long as it takes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from threading import Event, Thread
from time import monotonic

import structlog

from stream.errors import SourceError, UnblurError
from stream.interfaces import always
from stream.sources.live_connection import LiveConnection
from stream.sources.receiver import FrameReceiver
from stream.sources.status import SourceStatus
from stream.sources.stream_spec import ReconnectPolicy, StreamSpec
from stream.sources.watchdog import Watchdog
from stream.threads import DECODING_STEPS, lower_priority
from stream.values import Frame

DEFAULT_RECONNECT = ReconnectPolicy()

log = structlog.get_logger(__name__)


class LiveSource:
    """A live source. Its thread reads and decodes; `frames` converts and hands out the newest picture only.

    The end of a stream is taken for a lost connection: a killed server looks just like it. A camera that is silent for
    longer than it was before, or sends without a picture coming of it, is given up and called again (`Watchdog`).
    """

    live = True

    def __init__(self, feed: StreamSpec, camera: str, patience: ReconnectPolicy = DEFAULT_RECONNECT) -> None:
        self.camera = camera
        self._feed = feed
        self._patience = patience
        self._inflow = FrameReceiver(camera, stalled_s=patience.picture_s / 2)
        self._closed = Event()
        self._refused: SourceError | None = None
        self._thread = Thread(target=self._run, name=f"capture {camera}", daemon=True)
        self._log = log.bind(camera=camera, source=str(feed))
        watchdog = Watchdog(patience.picture_s, patience.keyframe_s)
        self._connection = LiveConnection(feed, self._inflow, watchdog, self._closed, patience.connect_s)

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """The newest frame each time of those that are `wanted`, until `close`. To be called once.

        Raises SourceError if the first connection fails and patience is not endless.
        """
        try:
            self._thread.start()
            yield from self._inflow.frames(wanted)
            if self._refused:
                raise self._refused
            if not self._closed.is_set():
                raise UnblurError(f"{self.camera}: its capture thread has died; the log says why")
        finally:
            self.close()

    def status(self) -> SourceStatus:
        return self._inflow.status()

    def close(self) -> None:
        """End `frames` at once. The thread follows when its present read returns, within `patience`."""
        self._closed.set()
        self._inflow.close()

    def _run(self) -> None:
        lower_priority(DECODING_STEPS)
        try:
            self._keep_watching()
        finally:
            self._inflow.close()

    def _keep_watching(self) -> None:
        retry_s = self._patience.first_retry_s
        while not self._closed.is_set():
            began = monotonic()
            problem = self._watch()
            if self._closed.is_set():
                return
            if not (self._patience.endless or self._inflow.seen):
                self._refused = SourceError(f"{self.camera}: cannot connect to {self._feed}: {problem}")
                return
            if monotonic() - began > self._patience.longest_retry_s:
                retry_s = self._patience.first_retry_s
            self._inflow.lost(problem)
            self._log.warning("no connection to the camera", problem=problem, retry_in_s=round(retry_s, 1))
            self._closed.wait(retry_s * random.uniform(0.5, 1.0))
            retry_s = min(2 * retry_s, self._patience.longest_retry_s)

    def _watch(self) -> str:
        """Connect, and deliver pictures for as long as it lasts. Returns what ended it."""
        try:
            return self._connection.deliver(self._log)
        except SourceError as error:
            return str(error)
