"""Somebody to go on when a network fails in the middle of a run."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from models.errors import ModelError
from stream.interfaces import Deblurrer
from stream.values import Crop, Restoration

_log = structlog.get_logger(__name__)


class Standby:
    """Restores by one deblurrer, and from its first failure on by another: a GPU that was lost does not come back, and
    each try would hold up the picture. Used by one thread at a time."""

    def __init__(self, first: Deblurrer, second: Deblurrer) -> None:
        self._current, self._second = first, second

    def restore(self, crops: Sequence[Crop], passes: int | None = None) -> list[Restoration]:
        """Raises ModelError if both fail."""
        try:
            return self._current.restore(crops, passes)
        except ModelError as error:
            if self._current is self._second:
                raise
            _log.warning("the deblurring network failed: Richardson-Lucy goes on from here", reason=str(error))
            self._current = self._second
            return self._second.restore(crops, passes)
