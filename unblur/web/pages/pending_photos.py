"""Pictures that were looked at and not enrolled yet: for a while, and only so many."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable

from unblur.people.photo_review import ReviewedPhoto

MOST = 500
"""Shots that lie here at once; the oldest make room."""
KEPT_S = 3600.0


class PendingPhotos:
    """Shots by their ids, in memory alone: what is not enrolled is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shots: OrderedDict[str, tuple[float, ReviewedPhoto]] = OrderedDict()

    def put(self, shots: Iterable[ReviewedPhoto]) -> None:
        now = time.monotonic()
        with self._lock:
            self._shots.update({shot.id: (now, shot) for shot in shots})
            while self._shots and (len(self._shots) > MOST or next(iter(self._shots.values()))[0] < now - KEPT_S):
                self._shots.popitem(last=False)

    def get(self, ids: Iterable[str]) -> list[ReviewedPhoto]:
        """The shots of these ids, none twice. Raises KeyError if one is not here, or no longer."""
        with self._lock:
            return [self._shots[each][1] for each in dict.fromkeys(ids)]

    def drop(self, shots: Iterable[ReviewedPhoto]) -> None:
        """They have been enrolled."""
        with self._lock:
            for shot in shots:
                self._shots.pop(shot.id, None)
