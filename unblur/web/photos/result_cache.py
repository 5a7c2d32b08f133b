"""Developed photos, kept in memory for a while for who had them developed."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from unblur.web.photos.photo_worker import Method, RestoredPhoto

KEPT_S = 15 * 60.0
MOST = 32
MOST_BYTES = 512 << 20
"""Of all prints' pictures together."""


@dataclass(frozen=True, slots=True, eq=False)
class CachedResult:
    """A developed photo, whose it is, and until when it is kept."""

    id: str
    owner: str
    method: Method
    developed: RestoredPhoto
    until: datetime

    @property
    def bytes(self) -> int:
        return sum(map(len, self.developed.pictures.values()))


class ResultCache:
    """Prints by an id that nobody can guess. When there are too many, the oldest goes first; the latest is kept,
    however large it is. Used on the event loop."""

    def __init__(self, kept_s: float = KEPT_S, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._kept_s, self._most, self._most_bytes = kept_s, most, most_bytes
        self._prints: dict[str, CachedResult] = {}

    def keep(self, owner: str, method: Method, developed: RestoredPhoto) -> CachedResult:
        """Keep it from now on."""
        until = datetime.now(UTC) + timedelta(seconds=self._kept_s)
        made = CachedResult(secrets.token_urlsafe(24), owner, method, developed, until)
        self._prints[made.id] = made
        asyncio.get_running_loop().call_later(self._kept_s, self._prints.pop, made.id, None)
        while len(self._prints) > 1 and self._too_many():
            del self._prints[next(iter(self._prints))]
        return made

    def find(self, id: str, owner: str) -> CachedResult | None:
        """None if this owner has no such print, or no longer."""
        found = self._prints.get(id)
        return found if found and found.owner == owner else None

    def clear(self) -> None:
        """Forget them all."""
        self._prints.clear()

    def _too_many(self) -> bool:
        return len(self._prints) > self._most or sum(each.bytes for each in self._prints.values()) > self._most_bytes
