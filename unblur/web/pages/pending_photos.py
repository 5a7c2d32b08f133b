"""Photos reviewed but not enrolled yet, kept in memory; limited in time and number."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable

from unblur.people.photo_review import ReviewedPhoto

MOST = 500
"""Photos kept at most; above that, the oldest are dropped."""
KEPT_S = 3600.0


class PendingPhotos:
    """Reviewed photos by id, in memory only: those not enrolled in time are dropped. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._photos: OrderedDict[str, tuple[float, ReviewedPhoto]] = OrderedDict()

    def put(self, photos: Iterable[ReviewedPhoto]) -> None:
        now = time.monotonic()
        with self._lock:
            self._photos.update({photo.id: (now, photo) for photo in photos})
            while self._photos and (len(self._photos) > MOST or next(iter(self._photos.values()))[0] < now - KEPT_S):
                self._photos.popitem(last=False)

    def get(self, ids: Iterable[str]) -> list[ReviewedPhoto]:
        """The photos with these ids, without duplicates. Raises KeyError for an unknown or dropped one."""
        with self._lock:
            return [self._photos[each][1] for each in dict.fromkeys(ids)]

    def drop(self, photos: Iterable[ReviewedPhoto]) -> None:
        """Remove photos that have been enrolled."""
        with self._lock:
            for photo in photos:
                self._photos.pop(photo.id, None)
