"""Live sources: webcams, RTSP, and HTTP (MJPEG, single images, HLS, MPEG-TS, MP4). They give the newest frame, and
reconnect without limit."""

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
    """A live source. Its thread reads and decodes; `frames` converts and yields the newest frame only.

    The end of a stream counts as a lost connection, because a killed server gives the same result. A connection that is
    silent for longer than before, or sends no decodable frames, is closed and opened again (`Watchdog`).
    """

    live = True

    def __init__(self, spec: StreamSpec, camera: str, reconnect: ReconnectPolicy = DEFAULT_RECONNECT) -> None:
        self.camera = camera
        self._spec = spec
        self._reconnect = reconnect
        self._receiver = FrameReceiver(camera, stalled_s=reconnect.picture_s / 2)
        self._closed = Event()
        self._error: SourceError | None = None
        self._thread = Thread(target=self._run, name=f"capture {camera}", daemon=True)
        self._log = log.bind(camera=camera, source=str(spec))
        watchdog = Watchdog(reconnect.picture_s, reconnect.keyframe_s)
        self._connection = LiveConnection(spec, self._receiver, watchdog, self._closed, reconnect.connect_s)

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """Yield the newest frame each time, of those that are `wanted`, until `close`. To be called once.

        Raises SourceError if the first connection fails and the reconnect policy is not endless.
        """
        try:
            self._thread.start()
            yield from self._receiver.frames(wanted)
            if self._error:
                raise self._error
            if not self._closed.is_set():
                raise UnblurError(f"{self.camera}: its capture thread has died; the log says why")
        finally:
            self.close()

    def status(self) -> SourceStatus:
        return self._receiver.status()

    def close(self) -> None:
        """End `frames` at once. The thread ends when its present read returns, within the times of the policy."""
        self._closed.set()
        self._receiver.close()

    def _run(self) -> None:
        lower_priority(DECODING_STEPS)
        try:
            self._reconnect_loop()
        finally:
            self._receiver.close()

    def _reconnect_loop(self) -> None:
        retry_s = self._reconnect.first_retry_s
        while not self._closed.is_set():
            began = monotonic()
            problem = self._connect_once()
            if self._closed.is_set():
                return
            if not (self._reconnect.endless or self._receiver.has_frames):
                self._error = SourceError(f"{self.camera}: cannot connect to {self._spec}: {problem}")
                return
            if monotonic() - began > self._reconnect.longest_retry_s:
                retry_s = self._reconnect.first_retry_s
            self._receiver.record_loss(problem)
            self._log.warning("no connection to the camera", problem=problem, retry_in_s=round(retry_s, 1))
            self._closed.wait(retry_s * random.uniform(0.5, 1.0))
            retry_s = min(2 * retry_s, self._reconnect.longest_retry_s)

    def _connect_once(self) -> str:
        """Connect, and deliver frames until the connection ends. Returns the reason."""
        try:
            return self._connection.deliver(self._log)
        except SourceError as error:
            return str(error)
