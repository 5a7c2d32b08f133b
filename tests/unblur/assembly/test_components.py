"""The whole pipeline on real images: no person is lost, nothing hangs, and the worst error is the one raised."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from configs.loader import load
from stream.errors import DamagedSourceError, StorageError
from stream.identification import IdentificationWorker
from stream.metrics import StageMetrics
from stream.results import AnnotatedFrame, Event, FaceSample, FrameTime
from stream.storage.images import read_picture, write_picture
from stream.values import Box, FaceCrop, FaceQuality, Image, Restoration, Track
from unblur.assembly.components import Components
from unblur.assembly.pipeline_run import Run, assemble

MakeRun = Callable[..., Run]


class MemoryLog:
    """An event sink in memory; with `full`, every write fails."""

    def __init__(self, full: bool = False) -> None:
        self.events: list[Event] = []
        self._full = full

    def write(self, event: Event) -> None:
        if self._full:
            raise StorageError("the disk is full")
        self.events.append(event)

    def close(self) -> None: ...


@pytest.fixture
def make_run() -> Iterator[MakeRun]:
    """Makes runs over sources, logged to `log`."""
    with ExitStack() as stack:

        def make(
            log: MemoryLog, *sources: Path, watch: Callable[[AnnotatedFrame], None] = lambda _: None, pace: str = "fast"
        ) -> Run:
            cameras = [{"source": str(source), "name": f"{number}"} for number, source in enumerate(sources)]
            return assemble(load(None, {"cameras": cameras, "pace": pace}), stack, watch, log)

        yield make


@pytest.fixture
def many_faces(portraits: Path, tmp_path: Path) -> Path:
    """One picture with 24 faces: more than a camera may send for identification in a second."""
    face = read_picture(portraits / "astronaut.png")[:256, 96:352]
    row = np.hstack([face[::2, ::2]] * 6)
    write_picture(tmp_path / "many_faces.png", np.ascontiguousarray(np.vstack([row] * 4)))
    return tmp_path / "many_faces.png"


def kinds(log: MemoryLog) -> dict[int, list[str]]:
    return {
        track: [event.type for event in log.events if event.track == track]
        for track in {event.track for event in log.events}
    }


def test_every_person_on_a_single_image_has_a_start_and_an_end_event(make_run: MakeRun, many_faces: Path) -> None:
    log = MemoryLog()
    make_run(log, many_faces).start()
    assert len(kinds(log)) == 24
    assert all(kind == ["new", "end"] for kind in kinds(log).values())


def test_every_frame_is_annotated_in_order(make_run: MakeRun, demo: Path) -> None:
    shown: list[int] = []
    run = make_run(MemoryLog(), demo / "camera.mp4", watch=lambda scene: shown.append(scene.frame.index))
    run.start()
    assert shown == list(range(445))
    assert run.snapshot().counts["frames"] == 445


def test_recordings_in_real_time_run_in_parallel(make_run: MakeRun, many_faces: Path) -> None:
    log = MemoryLog()
    run = make_run(log, many_faces, many_faces, pace="realtime")
    assert len(run.pipelines) == 1
    run.start()
    assert len(log.events) == 2 * 24 * 2
    assert {event.camera for event in log.events} == {"0", "1"}


def test_a_log_that_fails_ends_the_run_at_once(make_run: MakeRun, demo: Path) -> None:
    run = make_run(MemoryLog(full=True), demo / "camera.mp4")
    with pytest.raises(StorageError, match="full"):
        run.start()
    assert run.snapshot().counts["frames"] < 445


def test_stopping_from_another_thread_ends_open_tracks(make_run: MakeRun, demo: Path) -> None:
    log, named = MemoryLog(), threading.Event()

    def watch(scene: AnnotatedFrame) -> None:
        if scene.names:
            named.set()

    run = make_run(log, demo / "camera.mp4", watch=watch, pace="realtime")
    thread = threading.Thread(target=run.start)
    thread.start()
    assert named.wait(30)
    run.pipelines[0].stop()
    thread.join(30)
    assert not thread.is_alive()
    assert all(kind[-1] == "end" for kind in kinds(log).values())


def test_a_window_that_is_closed_ends_the_run(make_run: MakeRun, demo: Path) -> None:
    run = make_run(MemoryLog(), demo / "camera.mp4", pace="realtime")
    run.pipelines[0].run(pump=lambda: False)
    assert run.snapshot().counts.get("frames", 0) < 445


@pytest.fixture
def damaged(portraits: Path, tmp_path: Path) -> list[Path]:
    """Two folders of pictures, each with one that cannot be read."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
        picture: Image = read_picture(portraits / "biden.jpg")[::2, ::2]
        write_picture(folder / "1.png", np.ascontiguousarray(picture))
        (folder / "2.png").write_bytes(b"torn")
    return folders


@pytest.mark.parametrize("pace", ["fast", "realtime"])
def test_all_damage_is_reported_and_the_rest_is_read(make_run: MakeRun, damaged: list[Path], pace: str) -> None:
    log = MemoryLog()
    with pytest.raises(DamagedSourceError) as caught:
        make_run(log, *damaged, pace=pace).start()
    assert all(str(folder) in str(caught.value) for folder in damaged)
    assert len(kinds(log)) == 1
    assert len(log.events) == 4


def test_a_full_disk_is_worse_than_damage(make_run: MakeRun, damaged: list[Path]) -> None:
    with pytest.raises(StorageError):
        make_run(MemoryLog(full=True), *damaged, pace="realtime").start()


def test_event_ids_depend_on_content_and_settings(demo: Path) -> None:
    def ids(**camera: object) -> list[str]:
        log = MemoryLog()
        source = {"source": str(demo / "camera.mp4"), "end_s": 2.0, **camera}
        with ExitStack() as stack:
            assemble(load(None, {"cameras": [source]}), stack, lambda _: None, log).start()
        return [event.id for event in log.events]

    assert ids() == ids() != ids(begin_s=0.5)
    assert not set(ids()) & set(ids(begin_s=0.5))
    assert json.dumps(ids())


def test_a_face_is_marked_while_it_is_being_deblurred() -> None:
    class RecordingDeblurrer:
        """Leaves crops unchanged, and records what is being restored meanwhile."""

        def __init__(self) -> None:
            self.restoring: list[frozenset[int]] = []

        def restore(self, crops: Sequence[FaceCrop], _passes: int | None = None, /) -> list[Restoration]:
            self.restoring = [worker.restoring("lobby"), worker.restoring("yard")]
            return [Restoration(crop, crop.image, "none", 0) for crop in crops]

    deblurrer, embedder = RecordingDeblurrer(), Components(load(None, {})).recognizer()
    worker = IdentificationWorker(deblurrer, embedder, MemoryLog(), None, "session", StageMetrics())
    picture, unmoved = np.zeros((128, 128, 3), np.uint8), np.eye(2, 3, dtype=np.float32)
    crop = FaceCrop("lobby", 7, 0, 0.0, picture, unmoved, None, FaceQuality(1, 1, 1))
    points = np.zeros((5, 2), np.float32)
    track = Track("lobby", 7, Box(0, 0, 9, 9), points, (0, 0), 0.9, detected=True, hits=1, first_frame=0, first_pts_s=0)
    worker.restore([FaceSample(track, crop, FrameTime(0, 0.0, None))])
    assert deblurrer.restoring == [{7}, set()]
    assert worker.restoring("lobby") == set()
