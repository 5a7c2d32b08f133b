"""A camera that calls us, instead of being called."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stream.data import Frame
from stream.health import CaptureStatus
from stream.inflow import Inflow
from stream.stages import always

SILENT_S = 3.0
"""Without a picture: something is wrong."""


class Guest:
    """A live source that waits until somebody sends it pictures (`stream/guests.py`), and again when they stop."""

    live = True

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self.inflow = Inflow(camera, stalled_s=SILENT_S / 2)

    def frames(self, wanted: Callable[[float], bool] = always) -> Iterator[Frame]:
        """The newest frame each time of those that are `wanted`, until `close`."""
        return self.inflow.frames(wanted)

    def status(self) -> CaptureStatus:
        return self.inflow.status()

    def close(self) -> None:
        """End `frames` at once."""
        self.inflow.close()
