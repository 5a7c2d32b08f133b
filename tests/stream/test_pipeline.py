"""Live looks, when identification is behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from threading import Event, Semaphore

import numpy as np

from deblur.restore import Off
from stream.data import Crop, Frame, Restoration
from stream.look import Look, Sighting
from stream.meter import Meter
from stream.naming import Naming
from stream.pipeline import Camera, Pipeline, Scene
from tests.stream.test_naming import Kept, Saying, a_look

PEOPLE = 20
"""More than are identified at a time."""


class Door:
    """A live camera: one frame with everybody, and one with nobody; then nothing until it is closed, or its end."""

    camera, live = "door", True

    def __init__(self, endless: bool) -> None:
        self._endless, self._closed = endless, Event()

    def frames(self) -> Iterator[Frame]:
        for index in range(2):
            yield Frame("door", index, index, Fraction(1, 10), None, np.zeros((9, 9, 3), np.uint8))
        if self._endless:
            self._closed.wait()

    def close(self) -> None:
        self._closed.set()


class Crowd:
    """An eye that sees everybody in the first frame and their ends in the second."""

    def see(self, frame: Frame) -> Sighting:
        looks = [a_look(0, track, 1.0) for track in range(PEOPLE)]
        tracks = [look.track for look in looks]
        return Sighting(frame, tracks, looks, []) if frame.index == 0 else Sighting(frame, [], [], tracks)

    def finish(self) -> Sequence[Look]:
        return []


class Slow(Off):
    """Says how many crops it gets, and restores when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may = Semaphore(0), Semaphore(0)
        self.batches: list[int] = []

    def restore(self, crops: Sequence[Crop]) -> list[Restoration]:
        self.batches.append(len(crops))
        self.begun.release()
        self.may.acquire()
        return super().restore(crops)


def desk(source: Door, deblurrer: Slow, show: Callable[[Scene], None]) -> tuple[Pipeline, Kept, Meter]:
    kept, meter = Kept(), Meter()
    naming = Naming(deblurrer, Saying(), kept, None, "session", meter)
    return Pipeline([Camera(source, Crowd(), show)], naming, meter), kept, meter


def unseen(scene: Scene) -> None:
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
