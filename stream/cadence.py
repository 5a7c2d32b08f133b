"""When the detector looks: on every frame while something is going on, else now and then."""

from __future__ import annotations

CALM = 3
"""Frames from one look to the next while all faces are known and slow; their tracks carry them in between."""
SIZES = (640, 512, 416, 320)
"""Detection sizes of a live source, in pixels of the longer side."""
SHARE = 0.5
"""Share of the time between two frames that detection may take; the rest is for decoding, crops and the picture."""
RELIEF = 0.5
"""A detection size is taken back when it would cost no more than this part of what is allowed."""
PATIENCE = 30
"""Looks at one size before the size changes again."""


class Cadence:
    """Which frames of a recording to look at: decided by what is in them alone, so that a replay is the same."""

    def __init__(self, calm: int = CALM) -> None:
        self._calm = calm
        self._since = calm

    def due(self, restless: bool) -> bool:
        """Ask once for each frame. `restless` is the last `TrackUpdate`'s."""
        self._since += 1
        if not restless and self._since < self._calm:
            return False
        self._since = 0
        return True
