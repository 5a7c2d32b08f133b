"""The pipeline: samples that wait while identification is deblurrer, frames that are not needed, and the end of
threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from threading import Event, Semaphore
from time import monotonic
from typing import Any

import numpy as np
import pytest

from deblur.deblurrers import PassThrough
from stream.camera_stages import PipelineCamera
from stream.identification import IdentificationWorker
from stream.interfaces import always
from stream.load_control import LoadController
from stream.metrics import StageMetrics
from stream.pipeline import Pipeline
from stream.results import AnnotatedFrame, FaceSample, FrameResult
from stream.values import FaceCrop, Frame, Restoration
from tests.stream.test_identification import EventRecorder, ScriptedRecognizer, make_sample

PEOPLE = 20
"""More than are identified at a time."""


class FakeCamera:
    """A live camera: one frame with all people, one without people; then it ends, or waits until it is closed."""

    camera, live = "door", True

    def __init__(self, endless: bool, pictures: int = 2) -> None:
        self._endless, self._closed, self._pictures = endless, Event(), pictures
        self.made: list[int] = []

    def frames(self, wanted: Callable[[float], bool] = always, /) -> Iterator[Frame]:
        for index in range(self._pictures):
            if wanted(index / 10):
                self.made.append(index)
                yield Frame("door", index, index, Fraction(1, 10), None, np.zeros((9, 9, 3), np.uint8), monotonic())
        if self._endless:
            self._closed.wait()

    def close(self) -> None:
        self._closed.set()


class BatchAnalyzer:
    """An analyzer with all tracks in the first frame and their ends in the second; every third frame is to be
    searched."""

    def should_detect(self, pts_s: float, _patience_s: float) -> bool:
        return round(10 * pts_s) % 3 == 0 or pts_s < 0.2

    def process(self, frame: Frame) -> FrameResult:
        samples = [make_sample(0, track, 1.0) for track in range(PEOPLE)]
        tracks = [sample.track for sample in samples]
        return FrameResult(frame, tracks, samples, []) if frame.index == 0 else FrameResult(frame, [], [], tracks)

    def flush(self) -> Sequence[FaceSample]:
        return []


class TimedAnalyzer(BatchAnalyzer):
    """Its samples hold their arrival times."""

    def process(self, frame: Frame) -> FrameResult:
        result = super().process(frame)
        samples = [replace(each, moment=replace(each.moment, arrived_s=frame.arrived_s)) for each in result.samples]
        return replace(result, samples=samples)


class BlockingDeblurrer(PassThrough):
    """A deblurrer that records its batches, and waits for permission (`may`) before each."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may = Semaphore(0), Semaphore(0)
        self.batches: list[int] = []
        self.passes: list[int | None] = []

    def restore(self, crops: Sequence[FaceCrop], passes: int | None = None, /) -> list[Restoration]:
        self.batches.append(len(crops))
        self.passes.append(passes)
        self.begun.release()
        self.may.acquire()
        return super().restore(crops)


def make_pipeline(
    source: FakeCamera,
    deblurrer: BlockingDeblurrer,
    show: Callable[[AnnotatedFrame], None],
    load: LoadController | None = None,
    analyzer: BatchAnalyzer | None = None,
) -> tuple[Pipeline, EventRecorder, StageMetrics]:
    recorder, meter = EventRecorder(), StageMetrics()
    identification = IdentificationWorker(deblurrer, ScriptedRecognizer(), recorder, None, "session", meter)
    return (
        Pipeline([PipelineCamera(source, analyzer or BatchAnalyzer(), show)], identification, meter, load),
        recorder,
        meter,
    )


def ignore(annotated: AnnotatedFrame) -> None:
    """Ignore the frame."""


def test_tracks_that_end_before_their_identification_are_logged() -> None:
    deblurrer, all_ended = BlockingDeblurrer(), Event()
    pipeline, recorder, meter = make_pipeline(
        FakeCamera(endless=False), deblurrer, lambda annotated: None if annotated.tracks else all_ended.set()
    )
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        assert all_ended.wait(20), "all tracks end before the first identification"
        deblurrer.may.release(PEOPLE)
        run.result(timeout=20)
    assert max(deblurrer.batches) < PEOPLE == sum(deblurrer.batches)
    assert sorted(event.type for event in recorder.events) == ["end"] * PEOPLE + ["new"] * PEOPLE
    assert meter.read().counts["looks dropped"] == 0


def test_stop_drops_waiting_samples() -> None:
    deblurrer = BlockingDeblurrer()
    pipeline, recorder, meter = make_pipeline(FakeCamera(endless=True), deblurrer, ignore)
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        assert deblurrer.begun.acquire(timeout=20)
        pipeline.stop()
        deblurrer.may.release()
        run.result(timeout=20)
    (batch,) = deblurrer.batches
    assert len(recorder.events) == 2 * batch
    assert meter.read().counts["looks dropped"] == PEOPLE - batch


def test_under_load_samples_have_fewer_passes() -> None:
    deblurrer, now = BlockingDeblurrer(), 0.0
    load = LoadController(lambda: now)
    now = 1.0
    load.observe(1, 0.1, 2.0)
    pipeline, _, _ = make_pipeline(FakeCamera(endless=False), deblurrer, ignore, load)
    deblurrer.may.release(PEOPLE)
    pipeline.run()
    assert set(deblurrer.passes) == {2}


def test_delays_and_dropped_samples_are_counted_by_camera() -> None:
    deblurrer = BlockingDeblurrer()
    pipeline, _, meter = make_pipeline(FakeCamera(endless=True), deblurrer, ignore, analyzer=TimedAnalyzer())
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        assert deblurrer.begun.acquire(timeout=20)
        pipeline.stop()
        deblurrer.may.release()
        run.result(timeout=20)
    reading = meter.read()
    assert 0 < reading.delay_p95_s["door"] < 20
    assert reading.by_camera["looks dropped", "door"] == PEOPLE - deblurrer.batches[0]


@pytest.mark.parametrize("watched", [True, False])
def test_frames_that_are_neither_searched_nor_displayed_are_not_converted(watched: bool) -> None:
    deblurrer, fake_camera = BlockingDeblurrer(), FakeCamera(endless=False, pictures=8)
    deblurrer.may.release(PEOPLE)
    meter, shown = StageMetrics(), list[int]()
    identification = IdentificationWorker(deblurrer, ScriptedRecognizer(), EventRecorder(), None, "session", meter)
    camera = PipelineCamera(
        fake_camera, BatchAnalyzer(), lambda annotated: shown.append(annotated.frame.index), lambda: watched
    )
    Pipeline([camera], identification, meter).run()
    assert fake_camera.made == (list(range(8)) if watched else [0, 1, 3, 6])
    assert set(shown) <= set(fake_camera.made)
    assert meter.read().counts["frames"] == 8


@pytest.mark.parametrize("begun", range(3))
def test_an_interrupt_during_startup_stops_the_started_threads(monkeypatch: pytest.MonkeyPatch, begun: int) -> None:
    class Interrupted(ThreadPoolExecutor):
        """Raises KeyboardInterrupt when `begun` threads have started, before the future of the last one is returned."""

        started = 0

        def submit(self, *arguments: Any, **named: Any) -> Any:
            future = super().submit(*arguments, **named)
            if self.started == begun:
                raise KeyboardInterrupt
            self.started += 1
            return future

    monkeypatch.setattr("stream.pipeline.ThreadPoolExecutor", Interrupted)
    deblurrer = BlockingDeblurrer()
    deblurrer.may.release(PEOPLE)
    pipeline, _, _ = make_pipeline(FakeCamera(endless=True), deblurrer, ignore)
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        try:
            assert isinstance(run.exception(timeout=20), KeyboardInterrupt)
        finally:
            pipeline.stop()
    assert not pipeline.running


@pytest.mark.parametrize("stage", ["analyze", "show", "restore"])
def test_errors_of_stages_are_raised(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise RuntimeError(stage)

    if stage == "analyze":
        monkeypatch.setattr(BatchAnalyzer, "process", fail)
    if stage == "restore":
        monkeypatch.setattr(BlockingDeblurrer, "restore", fail)
    deblurrer = BlockingDeblurrer()
    deblurrer.may.release(PEOPLE)
    pipeline, _, _ = make_pipeline(FakeCamera(endless=True), deblurrer, fail if stage == "show" else ignore)
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        try:
            with pytest.raises(RuntimeError, match=stage):
                run.result(timeout=20)
        finally:
            pipeline.stop()
