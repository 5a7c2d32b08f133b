"""From scenes to finished pictures: the overlay is drawn once, then every output gets it."""

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
"""Pictures over which the rate on the overlay is averaged."""


class FrameRenderer:
    """Draws the scenes of one camera and hands them to its outputs; `watch` sees each scene. Called by one thread.

    Without an overlay, and while no output wants the camera's pictures, nothing is drawn: where nobody looks, they
    would be made for nothing. With a mosaic, no output sees the faces that it hides.
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

    def __call__(self, scene: AnnotatedFrame) -> None:
        if self._overlay and self.wanted(scene.frame.camera):
            self._compose(self._overlay, scene)
        if self._live and scene.frame.wall_time:
            self._meter.record_frame_age((datetime.now(UTC) - scene.frame.wall_time).total_seconds())
        self._watch(scene)

    def wanted(self, camera: str) -> bool:
        """Whether any output wants the camera's pictures at this moment."""
        return self._overlay is not None and any(picture.wants(camera) for picture in self._pictures)

    def _compose(self, overlay: Overlay, scene: AnnotatedFrame) -> None:
        with self._meter.stage("overlay"):
            labels = [
                Label(track.box, scene.names.get(track.id), track.id in scene.restoring) for track in scene.tracks
            ]
            frame = self._hidden(scene)
            image = overlay.draw(frame, labels, self._rate())
        with self._meter.stage("output"):
            for picture in self._pictures:
                picture.show(frame, image)

    def _hidden(self, scene: AnnotatedFrame) -> Frame:
        if self._mosaic is None:
            return scene.frame
        image = self._mosaic.picture(scene.frame.image, scene.tracks, scene.names, scene.tentative_boxes)
        return replace(scene.frame, image=image)

    def _rate(self) -> float | None:
        """Pictures a second, for live cameras; of a replay it would say how fast the machine is."""
        self._shown.append(time.monotonic())
        elapsed = self._shown[-1] - self._shown[0]
        return (len(self._shown) - 1) / elapsed if self._live and elapsed else None


class WindowSink:
    """Brings pictures from the composers' threads to the one thread that a desktop's windows allow.

    `pump` is one round of that thread's loop: it shows what is newest, and is False once a window was closed.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._newest: LatestQueue[str, tuple[Frame, Image]] = LatestQueue()

    def show(self, frame: Frame, image: Image) -> None:
        self._newest.put(frame.camera, (frame, image))

    def wants(self, _camera: str) -> bool:
        """Always: a window is looked at."""
        return True

    def pump(self) -> bool:
        for frame, image in self._newest.get_batch(timeout_s=_ROUND_S):
            self._window.show(frame, image)
        self._window.poll()
        return not self._window.closed

    @property
    def dropped(self) -> int:
        """Pictures that newer ones replaced before they were shown."""
        return self._newest.dropped

    def close(self) -> None:
        self._window.close()
