"""Limits concurrent requests, per client and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from unblur.web.transport.errors import unavailable


class ConcurrencyLimiter:
    """Limits concurrent requests: at most `per_client` of each client and `total` of all. Used on the event loop."""

    def __init__(self, per_client: int, total: int, reason: str) -> None:
        """`reason` is the text of the answer to a request over the limit."""
        self._per_client, self._total, self._reason = per_client, total, reason
        self._clients: Counter[str] = Counter()

    @contextmanager
    def admit(self, client: str) -> Iterator[None]:
        """Count a request of this client while it is under way. Raises HTTPServiceUnavailable over the limit."""
        if self._clients[client] >= self._per_client or self._clients.total() >= self._total:
            raise unavailable(self._reason)
        self._clients[client] += 1
        try:
            yield
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
