"""The simulated camera as a source, and its recordings."""

from __future__ import annotations

import threading
import time
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from stream.errors import OutputError
from stream.simulation.camera import SimulatedCamera, record
from stream.simulation.cutout import Cutout
from stream.simulation.scene import Scene, WalkerPath, make_background
from stream.simulation.sensor import Sensor
from stream.values import Box


@pytest.fixture(scope="module")
def scene() -> Scene:
    light = np.random.default_rng(0).random((60, 50, 4), np.float32)
    light[..., 3] = 1
    walk = WalkerPath("Somebody", True, "somebody.jpg", Cutout(light, Box(5, 5, 40, 50)), (160, 90), (10, 0), at=6)
    return Scene(make_background(320, 180), (walk,), 12)


def test_recorded_camera_gives_every_frame_once(scene: Scene) -> None:
    camera = SimulatedCamera(scene, "door")
    frames = list(camera.frames())
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.pts_s for frame in frames] == pytest.approx([index / 30 for index in range(12)])
    assert {(frame.camera, frame.wall_time) for frame in frames} == {("door", None)}
    assert np.array_equal(frames[7].image, Sensor(scene).render_frame(7))


def test_live_camera_plays_in_a_loop_in_real_time(scene: Scene) -> None:
    camera = SimulatedCamera(scene, live=True)
    started = time.monotonic()
    frames = list(islice(camera.frames(), 15))
    assert time.monotonic() - started >= frames[-1].pts_s
    assert frames[-1].index == 14 + camera.dropped
    assert all(frame.wall_time is not None for frame in frames)
    last = frames[-1]
    assert np.array_equal(last.image, Sensor(scene).render_frame(last.index % 12))


def test_live_camera_counts_what_a_slow_reader_misses(scene: Scene) -> None:
    camera = SimulatedCamera(scene, live=True)
    frames = camera.frames()
    first = next(frames)
    assert not threading.Event().wait(0.3), "the reader is busy for nine frames"
    second = next(frames)
    assert second.index >= first.index + 9
    assert camera.dropped == second.index - first.index - 1


def test_close_from_another_thread_ends_a_live_camera(scene: Scene) -> None:
    camera = SimulatedCamera(scene, live=True)
    frames = camera.frames()
    next(frames)
    reader = threading.Thread(target=lambda: list(frames))
    reader.start()
    camera.close()
    reader.join(timeout=5)
    assert not reader.is_alive()


def test_recording_holds_what_the_sensor_saw(scene: Scene, tmp_path: Path) -> None:
    record(scene, tmp_path / "clip.mp4", crf=12)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [frame.time for frame in frames] == pytest.approx([index / 30 for index in range(12)])
    sensor = Sensor(scene)
    for index, frame in enumerate(frames):
        error = frame.to_ndarray(format="bgr24").astype(float) - sensor.render_frame(index)
        assert abs(error.mean()) < 3, "no shift of colour"
        assert error.std() < 12


def test_smaller_crf_is_nearer_to_the_sensor(scene: Scene, tmp_path: Path) -> None:
    for crf in (12, 40):
        record(scene, tmp_path / f"{crf}.mp4", crf=crf)
    assert (tmp_path / "12.mp4").stat().st_size > 4 * (tmp_path / "40.mp4").stat().st_size


def test_same_scene_gives_the_same_file(scene: Scene, tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        record(scene, tmp_path / name)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_unwritable_place_is_refused_and_left_clean(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the clip"):
        record(scene, tmp_path / "absent" / "clip.mp4")
    (tmp_path / "clip.mp4").mkdir()
    with pytest.raises(OutputError, match="cannot write the clip"):
        record(scene, tmp_path / "clip.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
