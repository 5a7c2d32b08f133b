"""Renderer: draws the overlay of a frame once, for all outputs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from stream.interfaces import FrameSink
from stream.metrics import StageMetrics
from stream.outputs.overlay import Label, Overlay
from stream.outputs.pixelation import FacePixelator
from stream.outputs.window import Window
from stream.queues import LatestQueue
from stream.results import AnnotatedFrame
from stream.values import Frame, Image

_ROUND_S = 0.02
_RATE_OVER = 30
"""Number of frames over which the rate on the overlay is averaged."""


class FrameRenderer:
    """Draws the annotated frames of one camera and passes them to its outputs, and each to `watch`. Called by one
    thread.

    Nothing is drawn without an overlay, or while no output wants the camera's frames. With `mosaic`, all outputs get
    redacted frames.
    """

    def __init__(
        self,
        overlay: Overlay | None,
        pictures: Sequence[FrameSink],
        live: bool,
        meter: StageMetrics,
        watch: Callable[[AnnotatedFrame], None],
        mosaic: FacePixelator | None = None,
    ) -> None:
        self._overlay = overlay
        self._pictures = pictures
        self._watch = watch
        self._mosaic = mosaic
        self._live = live
        self._meter = meter
        self._shown: deque[float] = deque(maxlen=_RATE_OVER)

    def __call__(self, annotated: AnnotatedFrame) -> None:
        if self._overlay and self.wanted(annotated.frame.camera):
            self._compose(self._overlay, annotated)
        if self._live and annotated.frame.wall_time:
            self._meter.record_frame_age((datetime.now(UTC) - annotated.frame.wall_time).total_seconds())
        self._watch(annotated)

    def wanted(self, camera: str) -> bool:
        """Whether any output wants the camera's frames now."""
        return self._overlay is not None and any(picture.wants(camera) for picture in self._pictures)

    def _compose(self, overlay: Overlay, annotated: AnnotatedFrame) -> None:
        with self._meter.stage("overlay"):
            labels = [
                Label(track.box, annotated.names.get(track.id), track.id in annotated.restoring)
                for track in annotated.tracks
            ]
            frame = self._redact(annotated)
            image = overlay.draw(frame, labels, self._rate())
        with self._meter.stage("output"):
            for picture in self._pictures:
                picture.show(frame, image)

    def _redact(self, annotated: AnnotatedFrame) -> Frame:
        if self._mosaic is None:
            return annotated.frame
        image = self._mosaic.picture(
            annotated.frame.image, annotated.tracks, annotated.names, annotated.tentative_boxes
        )
        return replace(annotated.frame, image=image)

    def _rate(self) -> float | None:
        """Frames a second, for live cameras; for a recording it would be the speed of the machine."""
        self._shown.append(time.monotonic())
        elapsed = self._shown[-1] - self._shown[0]
        return (len(self._shown) - 1) / elapsed if self._live and elapsed else None


class WindowSink:
    """Passes frames from the renderers' threads to the one thread that may use a desktop's windows.

    `pump` is one iteration of that thread's loop: it shows the newest frames, and returns False once a window was
    closed.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._newest: LatestQueue[str, tuple[Frame, Image]] = LatestQueue()

    def show(self, frame: Frame, image: Image) -> None:
        self._newest.put(frame.camera, (frame, image))

    def wants(self, _camera: str) -> bool:
        """Always True: a window shows every frame."""
        return True

    def pump(self) -> bool:
        for frame, image in self._newest.get_batch(timeout_s=_ROUND_S):
            self._window.show(frame, image)
        self._window.poll()
        return not self._window.closed

    @property
    def dropped(self) -> int:
        """Number of frames that were replaced by newer ones before they were shown."""
        return self._newest.dropped

    def close(self) -> None:
        self._window.close()
