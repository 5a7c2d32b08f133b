"""Live sources: webcams, RTSP, and HTTP (MJPEG, HLS, MPEG-TS). The newest picture wins, and a lost connection is
renewed for as long as it takes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic
from typing import Any

import av
import structlog
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.data import Frame
from stream.errors import SourceError, UnblurError
from stream.health import CaptureStatus
from stream.inflow import Inflow
from stream.libav import open_media, reason, video_stream
from stream.pace import Pace
from stream.redact import redact

_UNTIMED = ("mpjpeg", "mjpeg")
"""MJPEG carries no time; FFmpeg's stamps for it only count pictures."""
_JUMP_S = 2.0
"""Between two pictures of an HLS stream; more is a jump in its time stamps."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Feed:
    """Where a live picture comes from and how FFmpeg is to open it. Neither `str` nor `repr` shows a secret."""

    address: str = field(repr=False)
    form: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return redact(self.address)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait: for a connection, for the next picture, and between tries (doubling, with jitter).

    Unless `endless`, a first connection that fails is the end, with a SourceError.
    """

    connect_s: float = 5.0
    picture_s: float = 3.0
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0
    endless: bool = True


PATIENT = Patience()


class Capture:
    """A live source. Its thread reads and decodes; `frames` converts and hands out the newest picture only.

    The end of a stream is taken for a lost connection: a killed server looks just like it. A camera that is silent for
    `patience.picture_s`, or sends without a picture coming of it, is given up and called again.
    """

    live = True

    def __init__(self, feed: Feed, camera: str, patience: Patience = PATIENT) -> None:
        self.camera = camera
        self._feed = feed
        self._patience = patience
        self._inflow = Inflow(camera, stalled_s=patience.picture_s / 2)
        self._closed = Event()
        self._refused: SourceError | None = None
        self._thread = Thread(target=self._run, name=f"capture {camera}", daemon=True)
        self._log = log.bind(camera=camera, source=str(feed))

    def frames(self) -> Iterator[Frame]:
        """The newest frame each time, until `close`. To be called once.

        Raises SourceError if the first connection fails and patience is not endless.
        """
        self._thread.start()
        try:
            yield from self._inflow.frames()
            if self._refused:
                raise self._refused
            if not self._closed.is_set():
                raise UnblurError(f"{self.camera}: its capture thread has died; the log says why")
        finally:
            self.close()

    def status(self) -> CaptureStatus:
        return self._inflow.status()

    def close(self) -> None:
        """End `frames` at once. The thread follows when its present read returns, within `patience`."""
        self._closed.set()
        self._inflow.close()

    def _run(self) -> None:
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
        feed, patience = self._feed, (self._patience.connect_s, self._patience.picture_s)
        try:
            with open_media(feed.address, feed.form, dict(feed.options), patience) as container:
                return self._deliver(container)
        except SourceError as error:
            return str(error)
        except av.FFmpegError as error:
            return reason(error)

    def _deliver(self, container: InputContainer) -> str:
        stream = video_stream(container)
        stream.thread_type = "SLICE"  # frame threads would hold pictures back
        stream.codec_context.flags |= av.codec.context.Flags.low_delay
        self._log.info("connected to the camera", codec=stream.codec_context.name, form=container.format.name)
        timed = container.format.name not in _UNTIMED
        # HLS comes a segment at a time; without a pace all but the last picture of each would be dropped.
        pace = Pace(self._closed, _JUMP_S) if container.format.name == "hls" else None
        self._inflow.connected(stream.sample_aspect_ratio)
        fresh = monotonic()
        for packet in container.demux():
            for picture in _decode(packet, stream):
                if pace and picture.time is not None:
                    pace.wait(picture.time)
                self._inflow.arrived(picture, timed)
                fresh = monotonic()
            if self._closed.is_set():
                return "closed"
            if monotonic() - fresh > self._patience.picture_s:
                return f"no picture for {self._patience.picture_s:g} s"
        return "the stream ended"


def _decode(packet: av.Packet[Any], stream: VideoStream) -> list[VideoFrame]:
    try:
        return stream.decode(packet) if packet.stream_index == stream.index else []
    except av.FFmpegError:
        return []  # damaged on the way; the watchdog counts pictures, not packets
