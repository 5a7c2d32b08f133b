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
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from types import TracebackType

from stream.camera_stages import LiveStages, PipelineCamera, RecordedStages
from stream.errors import DamagedSourceError
from stream.identification import IdentificationWorker
from stream.load_control import LoadController
from stream.metrics import StageMetrics
from stream.sample_queue import SampleQueue, Waiting
from stream.values import Track

_POLL_S = 0.25
_PUMP_S = 0.01
_SILENT_S = 1.5
"""Longer than the tracker's buffer for lost tracks: a camera that returns starts new tracks."""


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
        self._stages: list[RecordedStages | LiveStages] = []
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
        for stages in self._stages:
            stages.abort()
        self._samples.cancel()

    def run(self, pump: Callable[[], bool] | None = None) -> None:
        """Run to the end. `pump`, if given, is called repeatedly by this thread, for example for a window's event loop,
        and ends the run when it returns False."""
        self._stages = [self._make_stages(camera) for camera in self._cameras]
        functions = [function for stages in self._stages for function in stages.functions]
        self._errors = []
        futures: list[Future[None]] = []
        with ThreadPoolExecutor(len(functions) + 1, "stage") as threads:
            try:
                self._running = True
                threads.submit(self._run_stage, self._identification_loop)
                for function in functions:
                    futures.append(threads.submit(self._run_stage, function))  # one by one: an interrupt loses none
                while wait(futures, timeout=_PUMP_S if pump else None).not_done:
                    if pump and not pump():
                        break
            finally:
                self._running = False
                self._join(futures, len(functions))
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

    def _make_stages(self, camera: PipelineCamera) -> RecordedStages | LiveStages:
        if not camera.source.live:
            return RecordedStages(camera, self._identification, self._metrics)
        return LiveStages(
            camera, self._identification, self._metrics, self._samples, self._ended_tracks, self._last_frame_at
        )

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
