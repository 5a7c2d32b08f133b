"""The simulated camera: a source of frames like any other, or a recorded clip."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange, Colorspace

from stream.errors import OutputError
from stream.interfaces import always
from stream.simulation.scene import Scene
from stream.simulation.sensor import Sensor
from stream.storage.atomic_files import part_file
from stream.values import Frame, Image

CRF = 26
"""Constant rate factor of H.264: about what a surveillance camera's main stream looks like."""


class SimulatedCamera:
    """Hands out a scene's frames; satisfies `stream.interfaces.Source`.

    A recorded one gives every frame once, as fast as they are taken. A live one plays the scene in a loop, without
    end, in real time and with wall time; a frame that comes too late is skipped and counted in `dropped`.
    """

    def __init__(self, scene: Scene, camera: str = "simulated", *, live: bool = False) -> None:
        self.camera = camera
        self.live = live
        self.dropped = 0
        self._sensor = Sensor(scene)
        self._closed = threading.Event()

    def frames(self, wanted: Callable[[float], bool] = always, /) -> Iterator[Frame]:
        """Every frame; of a live camera's those that are `wanted`."""
        indices = self._due() if self.live else iter(range(self._sensor.scene.frames))
        for index in indices:
            if self._closed.is_set():
                return
            if not self.live or wanted(index / self._sensor.scene.fps):
                yield self._frame(index)

    def close(self) -> None:
        self._closed.set()

    def _due(self) -> Iterator[int]:
        """Each frame's index when its time has come; late frames are left out."""
        period = 1 / self._sensor.scene.fps
        start, index = time.monotonic(), 0
        while not self._closed.wait(max(0.0, start + index * period - time.monotonic())):
            yield index
            following = max(index + 1, int((time.monotonic() - start) / period))
            self.dropped += following - index - 1
            index = following

    def _frame(self, index: int) -> Frame:
        scene = self._sensor.scene
        taken, arrived_s = (datetime.now(UTC), time.monotonic()) if self.live else (None, None)
        return Frame(
            self.camera,
            index,
            index,
            Fraction(1, scene.fps),
            taken,
            self._sensor.render_frame(index % scene.frames),
            arrived_s,
        )


def record(scene: Scene, path: Path, *, crf: int = CRF) -> None:
    """Take a scene's clip as H.264 in MP4 (4:2:0, BT.709); the same scene gives the same file.

    Raises OutputError if the file cannot be written there; nothing half-written is left.
    """
    try:
        with part_file(path) as part:
            _encode(scene, part, crf)
    except OSError as error:
        raise OutputError(f"cannot write the clip {path}: {error.strerror}") from error


def _encode(scene: Scene, path: Path, crf: int) -> None:
    sensor = Sensor(scene)
    # The encoder's result depends on its number of threads, which is fixed for that reason.
    options = {"crf": str(crf), "preset": "veryfast", "threads": "2"}
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=scene.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
        stream.colorspace, stream.color_range = Colorspace.ITU709, ColorRange.MPEG
        for index in range(scene.frames):
            container.mux(stream.encode(_converted(sensor.render_frame(index), index)))
        container.mux(stream.encode(None))


def _converted(image: Image, index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, format="bgr24")
    converted = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
    converted.pts = index
    return converted
