"""The processing pipeline: which thread does what, which queues wait, and what is dropped under load.

    recorded   decode =| analyze =| restore =| identify =| show    each `=|` waits when full: no frame is dropped
    live       capture -> analyze -> newest sample of each track -> identify
                                \\-> newest annotated frame of the camera -> show

Each step but `capture` (the source's thread) is a thread; all live cameras share one `identify` thread. A live frame
never waits for identification: it shows the names known so far. A live frame that is neither searched nor displayed is
not converted. What is left out when the machine is too slow: `stream/load_control.py`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Protocol

from stream.errors import DamagedSourceError
from stream.identification import IdentificationWorker
from stream.interfaces import Source, always
from stream.load_control import LONGEST_TURN_S, LoadController
from stream.media.frame_conversion import Rotation, rotate
from stream.metrics import StageMetrics
from stream.queues import BoundedQueue, LatestQueue
from stream.results import AnnotatedFrame, FaceSample, FrameResult
from stream.sample_queue import SampleQueue, Waiting
from stream.threads import DECODING_STEPS, lower_priority
from stream.values import Frame, Restoration, Track

_POLL_S = 0.25
_PUMP_S = 0.01
_DISPLAY_WAIT_S = 0.06
"""The longest wait of a displayed camera for its turn to search, before it shows its next frame."""
_SILENT_S = 1.5
"""Longer than the tracker's buffer for lost tracks: a camera that returns starts new tracks."""


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

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """The frames of the source, upright."""
        return (rotate(frame, self.rotation) for frame in self.source.frames(wanted))


class Pipeline:
    """Runs cameras in parallel until their sources end, `stop` is called, or an error occurs.

    When `run` returns, all samples have been identified, logged and shown; after `stop`, the waiting samples of live
    cameras are counted as dropped. `run` raises the worst error of any thread after all threads have ended; a damaged
    recording does not stop the others.
    """

    def __init__(
        self,
        cameras: Sequence[PipelineCamera],
        identification: IdentificationWorker,
        meter: StageMetrics,
        load: LoadController | None = None,
    ) -> None:
        """`load` chooses how much work is done for live cameras."""
        self._cameras = cameras
        self._load = load or LoadController()
        self._identification = identification
        self._metrics = meter
        self._queues: list[
            BoundedQueue[Frame] | BoundedQueue[FrameResult] | BoundedQueue[Restored] | BoundedQueue[AnnotatedFrame]
        ] = []
        self._samples = SampleQueue()
        self._ended_tracks: deque[Sequence[Track]] = deque()
        self._last_frame_at: dict[str, float] = {}
        self._running = False
        self._errors: list[BaseException] = []
        for camera in cameras:
            name = camera.source.camera
            meter.observe_counter("looks dropped", partial(self._samples.dropped, name), name)

    @property
    def running(self) -> bool:
        """Whether `run` is in progress."""
        return self._running

    def stop(self) -> None:
        """End the run soon. May be called from any thread."""
        for camera in self._cameras:
            camera.source.close()
        for queue in self._queues:
            queue.abort()
        self._samples.cancel()

    def run(self, pump: Callable[[], bool] | None = None) -> None:
        """Run to the end. `pump`, if given, is called repeatedly by this thread, for example for a window's event loop,
        and ends the run when it returns False."""
        stages = [stage for camera in self._cameras for stage in self._stage_functions(camera)]
        self._errors = []
        futures: list[Future[None]] = []
        with ThreadPoolExecutor(len(stages) + 1, "stage") as threads:
            try:
                self._running = True
                threads.submit(self._run_stage, self._identification_loop)
                for stage in stages:
                    futures.append(threads.submit(self._run_stage, stage))  # one by one: an interrupt loses none
                while wait(futures, timeout=_PUMP_S if pump else None).not_done:
                    if pump and not pump():
                        break
            finally:
                self._running = False
                self._join(futures, len(stages))
        _raise_worst(self._errors)

    def _join(self, futures: Sequence[Future[None]], stages: int) -> None:
        """Wait for all threads, and stop them first if the run was interrupted. If their start was interrupted, one
        that has begun may be missing in `futures`; then all are stopped."""
        if len(futures) < stages or not all(future.done() for future in futures):
            self.stop()
        try:
            wait(futures)
        finally:
            self._samples.close()

    def _run_stage(self, stage: Callable[[], None]) -> None:
        """Run a stage, and record its error."""
        with _Guard(self._errors, self.stop):
            stage()

    def _stage_functions(self, camera: PipelineCamera) -> tuple[Callable[[], None], ...]:
        return self._live_stages(camera) if camera.source.live else self._recorded_stages(camera)

    def _recorded_stages(self, camera: PipelineCamera) -> tuple[Callable[[], None], ...]:
        name = camera.source.camera
        frames, results, restored, annotated = (
            BoundedQueue[Frame](),
            BoundedQueue[FrameResult](),
            BoundedQueue[Restored](),
            BoundedQueue[AnnotatedFrame](),
        )
        self._queues += [frames, results, restored, annotated]
        last: list[FaceSample] = []

        def decode() -> None:
            with frames.closing():
                for frame in camera.frames():
                    if not frames.put(frame):
                        return

        def analyze() -> None:
            with results.closing():
                for frame in frames:
                    self._metrics.count("frames", camera=name)
                    results.put(self._analyze(camera, frame))
                last.extend(camera.analyzer.flush())

        def restore() -> None:
            with restored.closing():
                for result in results:
                    restored.put((result, self._identification.restore(result.samples)))

        def identify() -> None:
            with annotated.closing():
                for result, restorations in restored:
                    self._identification.identify_restored(result.samples, restorations)
                    names = self._identification.names(name)
                    annotated.put(
                        AnnotatedFrame(result.frame, result.tracks, names, tentative_boxes=result.tentative_boxes)
                    )
                    self._identification.end(result.ended)
                self._identification.identify(last)
                self._identification.end_camera(name)

        def show() -> None:
            for each in annotated:
                camera.show(each)

        return decode, analyze, restore, identify, show

    def _live_stages(self, camera: PipelineCamera) -> tuple[Callable[[], None], ...]:
        name = camera.source.camera
        annotated: LatestQueue[str, AnnotatedFrame] = LatestQueue()
        self._metrics.observe_counter("pictures dropped", lambda: annotated.dropped, name)

        def wanted(pts_s: float) -> bool:
            self._last_frame_at[name] = time.monotonic()
            self._metrics.count("frames", camera=name)
            watched = camera.watched()
            return camera.analyzer.should_detect(pts_s, _DISPLAY_WAIT_S if watched else LONGEST_TURN_S) or watched

        def analyze() -> None:
            lower_priority(DECODING_STEPS)
            with annotated.closing():
                for frame in camera.frames(wanted):
                    result = self._analyze(camera, frame)
                    self._enqueue(result.samples)
                    self._ended_tracks.append(result.ended)
                    names, restoring = self._identification.names(name), self._identification.restoring(name)
                    annotated.put(name, AnnotatedFrame(frame, result.tracks, names, restoring, result.tentative_boxes))
                self._enqueue(camera.analyzer.flush())

        def show() -> None:
            while newest := annotated.get_batch():
                for each in newest:
                    camera.show(each)

        return analyze, show

    def _analyze(self, camera: PipelineCamera, frame: Frame) -> FrameResult:
        result = camera.analyzer.process(frame)
        self._identification.update_tracks(result)
        return result

    def _enqueue(self, samples: Sequence[FaceSample]) -> None:
        for sample in samples:
            self._samples.put(sample)

    def _identification_loop(self) -> None:
        """Identify the waiting samples of all live cameras, in batches; one thread runs this."""
        ended: list[Track] = []
        while not self._samples.closed:
            # Ended tracks are taken before samples, and kept while one of their samples waits: it is identified first.
            for _ in range(len(self._ended_tracks)):
                ended += self._ended_tracks.popleft()
            self._identify(self._samples.take(_POLL_S, self._load.batch, self._load.oldest_s))
            waiting = self._samples.waiting()
            self._end([track for track in ended if (track.camera, track.id) not in waiting])
            ended = [track for track in ended if (track.camera, track.id) in waiting]
            self._end_silent_cameras({camera for camera, _ in waiting})
        for camera in self._cameras:
            self._identification.end_camera(camera.source.camera)

    def _identify(self, batch: Sequence[Waiting]) -> None:
        """Identify with as many passes as the load allows, and measure the load."""
        began = time.monotonic()
        self._identification.identify([sample for sample, _ in batch], self._load.level.passes)
        now = time.monotonic()
        self._load.observe(len(batch), now - began, max((now - since for _, since in batch), default=0.0))

    def _end(self, tracks: Sequence[Track]) -> None:
        self._identification.end(tracks)
        for track in tracks:
            self._samples.forget(track)

    def _end_silent_cameras(self, waiting: Collection[str]) -> None:
        """End the tracks of cameras that send no frames, except cameras that have `waiting` samples: a track must not
        stay open until a lost camera returns."""
        now = time.monotonic()
        for camera, last_frame_at in list(self._last_frame_at.items()):
            if now - last_frame_at > _SILENT_S and camera not in waiting:
                self._identification.end_camera(camera)


class _Guard:
    """Context that records the error of a thread, and calls `stop` unless the error is a damaged recording, which does
    not stop the other cameras."""

    def __init__(self, errors: list[BaseException], stop: Callable[[], None]) -> None:
        self._errors, self._stop = errors, stop

    def __enter__(self) -> None:
        """No setup is needed."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: TracebackType | None) -> None:
        if error is None:
            return
        self._errors.append(error)
        if not isinstance(error, DamagedSourceError):
            self._stop()


def _raise_worst(errors: Sequence[BaseException]) -> None:
    """Raise the first error that is no damaged recording; else one error that lists all damaged recordings."""
    for error in errors:
        if not isinstance(error, DamagedSourceError):
            raise error
    if errors:
        raise DamagedSourceError("; ".join(str(error) for error in errors))
