"""The stages of one camera: what its threads do, and the queues between them.

A recorded camera waits where a queue is full and loses nothing; a live camera shows and identifies the newest.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream.identification import IdentificationWorker
from stream.interfaces import Source, always
from stream.load_control import LONGEST_TURN_S
from stream.media.frame_conversion import Rotation, rotate
from stream.metrics import StageMetrics
from stream.queues import BoundedQueue, LatestQueue
from stream.results import AnnotatedFrame, FaceSample, FrameResult
from stream.sample_queue import SampleQueue
from stream.threads import DECODING_STEPS, lower_priority
from stream.values import Frame, Restoration, Track

_DISPLAY_WAIT_S = 0.06
"""The longest wait of a displayed camera for its turn to search, before it shows its next frame."""

Restored = tuple[FrameResult, list[Restoration]]
"""The result of a frame, with the restorations of its samples, in order."""


class Analyzer(Protocol):
    """Detects and tracks the faces of one camera."""

    def should_detect(self, pts_s: float, patience_s: float, /) -> bool:
        """Whether to search the frame of this media time. For a live camera, called once for each frame, in order,
        before `process`. The call may wait for `patience_s` seconds."""
        ...

    def process(self, frame: Frame) -> FrameResult: ...
    def flush(self) -> Sequence[FaceSample]:
        """End of the source: return the samples that are still to be identified."""
        ...


def _watched() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class PipelineCamera:
    """A source with its analyzer and its output. `show` is called by one thread. `watched` says whether the camera is
    displayed, and may be called by any thread; else a live camera may skip frames for `show`. `rotation` turns the
    source's frames clockwise, in degrees."""

    source: Source
    analyzer: Analyzer
    show: Callable[[AnnotatedFrame], None]
    watched: Callable[[], bool] = _watched
    rotation: Rotation = 0

    @property
    def name(self) -> str:
        """The name of the source's camera."""
        return self.source.camera

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """The frames of the source, upright."""
        return (rotate(frame, self.rotation) for frame in self.source.frames(wanted))


class RecordedStages:
    """The stages of a recorded camera; each is run by one thread, and waits for the queue behind it."""

    def __init__(self, camera: PipelineCamera, identification: IdentificationWorker, metrics: StageMetrics) -> None:
        self._camera, self._identification, self._metrics = camera, identification, metrics
        self._frames = BoundedQueue[Frame]()
        self._results = BoundedQueue[FrameResult]()
        self._restored = BoundedQueue[Restored]()
        self._annotated = BoundedQueue[AnnotatedFrame]()
        self._last: list[FaceSample] = []

    @property
    def functions(self) -> tuple[Callable[[], None], ...]:
        """The stages, in the order of the data."""
        return self._decode, self._analyze, self._restore, self._identify, self._show

    def abort(self) -> None:
        """End the stages soon; what waits in the queues is dropped."""
        for queue in (self._frames, self._results, self._restored, self._annotated):
            queue.abort()

    def _decode(self) -> None:
        with self._frames.closing():
            for frame in self._camera.frames():
                if not self._frames.put(frame):
                    return

    def _analyze(self) -> None:
        with self._results.closing():
            for frame in self._frames:
                self._metrics.count("frames", camera=self._camera.name)
                self._results.put(analyze(self._camera, frame, self._identification))
            self._last.extend(self._camera.analyzer.flush())

    def _restore(self) -> None:
        with self._restored.closing():
            for result in self._results:
                self._restored.put((result, self._identification.restore(result.samples)))

    def _identify(self) -> None:
        name = self._camera.name
        with self._annotated.closing():
            for result, restorations in self._restored:
                self._identification.identify_restored(result.samples, restorations)
                names = self._identification.names(name)
                self._annotated.put(
                    AnnotatedFrame(result.frame, result.tracks, names, tentative_boxes=result.tentative_boxes)
                )
                self._identification.end(result.ended)
            self._identification.identify(self._last)
            self._identification.end_camera(name)

    def _show(self) -> None:
        for annotated in self._annotated:
            self._camera.show(annotated)


class LiveStages:
    """The stages of a live camera: its samples go to `samples`, which all live cameras share, and its ended tracks to
    `ended_tracks`; `last_frame_at` gets the time (monotonic, in seconds) of its newest frame."""

    def __init__(
        self,
        camera: PipelineCamera,
        identification: IdentificationWorker,
        metrics: StageMetrics,
        samples: SampleQueue,
        ended_tracks: deque[Sequence[Track]],
        last_frame_at: MutableMapping[str, float],
    ) -> None:
        self._camera, self._identification, self._metrics = camera, identification, metrics
        self._samples, self._ended_tracks, self._last_frame_at = samples, ended_tracks, last_frame_at
        self._annotated: LatestQueue[str, AnnotatedFrame] = LatestQueue()
        metrics.observe_counter("pictures dropped", lambda: self._annotated.dropped, camera.name)

    @property
    def functions(self) -> tuple[Callable[[], None], ...]:
        """The stages, in the order of the data."""
        return self._analyze, self._show

    def abort(self) -> None:
        """Nothing to do: the stages end with the source."""

    def _is_wanted(self, pts_s: float) -> bool:
        """Whether a frame is to be converted: it is searched, or displayed."""
        self._last_frame_at[self._camera.name] = time.monotonic()
        self._metrics.count("frames", camera=self._camera.name)
        watched = self._camera.watched()
        patience_s = _DISPLAY_WAIT_S if watched else LONGEST_TURN_S
        return self._camera.analyzer.should_detect(pts_s, patience_s) or watched

    def _analyze(self) -> None:
        lower_priority(DECODING_STEPS)
        name = self._camera.name
        with self._annotated.closing():
            for frame in self._camera.frames(self._is_wanted):
                result = analyze(self._camera, frame, self._identification)
                self._enqueue(result.samples)
                self._ended_tracks.append(result.ended)
                names, restoring = self._identification.names(name), self._identification.restoring(name)
                annotated = AnnotatedFrame(frame, result.tracks, names, restoring, result.tentative_boxes)
                self._annotated.put(name, annotated)
            self._enqueue(self._camera.analyzer.flush())

    def _enqueue(self, samples: Sequence[FaceSample]) -> None:
        for sample in samples:
            self._samples.put(sample)

    def _show(self) -> None:
        while newest := self._annotated.get_batch():
            for annotated in newest:
                self._camera.show(annotated)


def analyze(camera: PipelineCamera, frame: Frame, identification: IdentificationWorker) -> FrameResult:
    """Analyze a frame, and let the identification know its tracks."""
    result = camera.analyzer.process(frame)
    identification.update_tracks(result)
    return result
