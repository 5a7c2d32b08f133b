"""How many requests of one client, and of all, may be under way at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import hdrs, web

RETRY_S = 5
"""After which it is worth trying again."""


class Concurrency:
    """At most `of_one` of each client and `most` in all. Used on the event loop."""

    def __init__(self, of_one: int, most: int, said: str) -> None:
        """`said` is what somebody is told for whom there is no place."""
        self._of_one, self._most, self._said = of_one, most, said
        self._clients: Counter[str] = Counter()

    @contextmanager
    def one(self, client: str) -> Iterator[None]:
        """One more, for as long as it takes. Raises HTTPServiceUnavailable where there is no place."""
        if self._clients[client] >= self._of_one or self._clients.total() >= self._most:
            raise unavailable(self._said)
        self._clients[client] += 1
        try:
            yield
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]


def unavailable(said: str) -> web.HTTPServiceUnavailable:
    """Not now; soon."""
    return web.HTTPServiceUnavailable(text=said, headers={hdrs.RETRY_AFTER: str(RETRY_S)})
