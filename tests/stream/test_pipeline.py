"""Live looks when identification is behind, pictures that nobody needs, and threads that end."""

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
from stream.identification import IdentificationWorker
from stream.interfaces import always
from stream.load_control import LoadController
from stream.metrics import StageMetrics
from stream.pipeline import Camera, Pipeline
from stream.results import AnnotatedFrame, FaceSample, FrameResult
from stream.values import FaceCrop, Frame, Restoration
from tests.stream.test_identification import Kept, Saying, a_look

PEOPLE = 20
"""More than are identified at a time."""


class Door:
    """A live camera: one frame with everybody, and one with nobody; then nothing until it is closed, or its end."""

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


class Crowd:
    """An eye that sees everybody in the first frame and their ends in the second; every third picture is due."""

    def should_detect(self, pts_s: float, _patience_s: float) -> bool:
        return round(10 * pts_s) % 3 == 0 or pts_s < 0.2

    def process(self, frame: Frame) -> FrameResult:
        looks = [a_look(0, track, 1.0) for track in range(PEOPLE)]
        tracks = [look.track for look in looks]
        return FrameResult(frame, tracks, looks, []) if frame.index == 0 else FrameResult(frame, [], [], tracks)

    def flush(self) -> Sequence[FaceSample]:
        return []


class Timed(Crowd):
    """Its samples know when they arrived."""

    def process(self, frame: Frame) -> FrameResult:
        sighting = super().process(frame)
        looks = [replace(look, moment=replace(look.moment, arrived_s=frame.arrived_s)) for look in sighting.looks]
        return replace(sighting, looks=looks)


class Slow(PassThrough):
    """Says how many crops it gets, and restores when it may."""

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


def desk(
    source: Door,
    deblurrer: Slow,
    show: Callable[[AnnotatedFrame], None],
    load: LoadController | None = None,
    eye: Crowd | None = None,
) -> tuple[Pipeline, Kept, StageMetrics]:
    kept, meter = Kept(), StageMetrics()
    naming = IdentificationWorker(deblurrer, Saying(), kept, None, "session", meter)
    return Pipeline([Camera(source, eye or Crowd(), show)], naming, meter, load), kept, meter


def unseen(scene: AnnotatedFrame) -> None:
    """Nobody looks."""


def test_whoever_has_left_before_their_turn_is_in_the_log_all_the_same() -> None:
    slow, gone = Slow(), Event()
    pipeline, kept, meter = desk(Door(endless=False), slow, lambda scene: None if scene.tracks else gone.set())
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        assert gone.wait(20), "all are gone before anybody is identified"
        slow.may.release(PEOPLE)
        run.result(timeout=20)
    assert max(slow.batches) < PEOPLE == sum(slow.batches)
    assert sorted(event.type for event in kept.events) == ["end"] * PEOPLE + ["new"] * PEOPLE
    assert meter.read().counts["looks dropped"] == 0


def test_who_stops_a_run_does_not_wait_for_all_who_wait() -> None:
    slow = Slow()
    pipeline, kept, meter = desk(Door(endless=True), slow, unseen)
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        assert slow.begun.acquire(timeout=20)
        pipeline.stop()
        slow.may.release()
        run.result(timeout=20)
    (batch,) = slow.batches
    assert len(kept.events) == 2 * batch
    assert meter.read().counts["looks dropped"] == PEOPLE - batch


def test_under_load_samples_have_fewer_passes() -> None:
    slow, now = Slow(), 0.0
    load = LoadController(lambda: now)
    now = 1.0
    load.observe(1, 0.1, 2.0)
    pipeline, _, _ = desk(Door(endless=False), slow, unseen, load)
    slow.may.release(PEOPLE)
    pipeline.run()
    assert set(slow.passes) == {2}


def test_how_long_names_take_and_what_is_dropped_is_told_by_camera() -> None:
    slow = Slow()
    pipeline, _, meter = desk(Door(endless=True), slow, unseen, eye=Timed())
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        assert slow.begun.acquire(timeout=20)
        pipeline.stop()
        slow.may.release()
        run.result(timeout=20)
    reading = meter.read()
    assert 0 < reading.delay_p95_s["door"] < 20
    assert reading.by_camera["looks dropped", "door"] == PEOPLE - slow.batches[0]


@pytest.mark.parametrize("watched", [True, False])
def test_what_is_neither_searched_nor_watched_is_not_made(watched: bool) -> None:
    slow, door = Slow(), Door(endless=False, pictures=8)
    slow.may.release(PEOPLE)
    meter, shown = StageMetrics(), list[int]()
    naming = IdentificationWorker(slow, Saying(), Kept(), None, "session", meter)
    camera = Camera(door, Crowd(), lambda scene: shown.append(scene.frame.index), lambda: watched)
    Pipeline([camera], naming, meter).run()
    assert door.made == (list(range(8)) if watched else [0, 1, 3, 6])
    assert set(shown) <= set(door.made)
    assert meter.read().counts["frames"] == 8


@pytest.mark.parametrize("begun", range(3))
def test_an_interruption_while_the_threads_start_stops_those_that_have(
    monkeypatch: pytest.MonkeyPatch, begun: int
) -> None:
    class Interrupted(ThreadPoolExecutor):
        """A signal comes when so many have started, before the last of them is known."""

        started = 0

        def submit(self, *arguments: Any, **named: Any) -> Any:
            future = super().submit(*arguments, **named)
            if self.started == begun:
                raise KeyboardInterrupt
            self.started += 1
            return future

    monkeypatch.setattr("stream.pipeline.ThreadPoolExecutor", Interrupted)
    slow = Slow()
    slow.may.release(PEOPLE)
    pipeline, _, _ = desk(Door(endless=True), slow, unseen)
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        try:
            assert isinstance(run.exception(timeout=20), KeyboardInterrupt)
        finally:
            pipeline.stop()
    assert not pipeline.running


@pytest.mark.parametrize("stage", ["see", "show", "restore"])
def test_no_stage_dies_silently(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise RuntimeError(stage)

    if stage == "see":
        monkeypatch.setattr(Crowd, "process", fail)
    if stage == "restore":
        monkeypatch.setattr(Slow, "restore", fail)
    slow = Slow()
    slow.may.release(PEOPLE)
    pipeline, _, _ = desk(Door(endless=True), slow, fail if stage == "show" else unseen)
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(pipeline.run)
        try:
            with pytest.raises(RuntimeError, match=stage):
                run.result(timeout=20)
        finally:
            pipeline.stop()
