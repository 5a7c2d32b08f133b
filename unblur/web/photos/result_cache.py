"""In-memory cache of restored photos, for the user who sent them; limited in time, number and size."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from unblur.web.photos.photo_worker import RestorationChoice, RestoredPhoto

KEPT_S = 15 * 60.0
MOST = 32
MOST_BYTES = 512 << 20
"""Bytes of all results' images together."""


@dataclass(frozen=True, slots=True, eq=False)
class CachedResult:
    """A restored photo, its owner, and when it is deleted."""

    id: str
    owner: str
    method: RestorationChoice
    developed: RestoredPhoto
    until: datetime

    @property
    def bytes(self) -> int:
        return sum(map(len, self.developed.pictures.values()))


class ResultCache:
    """Results by unguessable ids. Above a limit, the oldest are deleted first; the latest is kept, however large it is.
    Used on the event loop."""

    def __init__(self, kept_s: float = KEPT_S, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._kept_s, self._most, self._most_bytes = kept_s, most, most_bytes
        self._results: dict[str, CachedResult] = {}

    def keep(self, owner: str, method: RestorationChoice, developed: RestoredPhoto) -> CachedResult:
        """Store a result; it is deleted after `kept_s` seconds."""
        until = datetime.now(UTC) + timedelta(seconds=self._kept_s)
        result = CachedResult(secrets.token_urlsafe(24), owner, method, developed, until)
        self._results[result.id] = result
        asyncio.get_running_loop().call_later(self._kept_s, self._results.pop, result.id, None)
        while len(self._results) > 1 and self._is_over_limit():
            del self._results[next(iter(self._results))]
        return result

    def find(self, id: str, owner: str) -> CachedResult | None:
        """The result with this id; None if this owner has none, or it was deleted."""
        result = self._results.get(id)
        return result if result and result.owner == owner else None

    def clear(self) -> None:
        """Delete all results."""
        self._results.clear()

    def _is_over_limit(self) -> bool:
        return len(self._results) > self._most or sum(each.bytes for each in self._results.values()) > self._most_bytes
