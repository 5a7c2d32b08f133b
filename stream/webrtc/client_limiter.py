"""How many clients may be connected at once, each with however many connections it needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

MOST_CONNECTIONS = 512
"""At once, of all clients: each takes sockets, of which the recording needs some too."""


class TooManyPeersError(RuntimeError):
    """The limit of clients or connections is reached."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many may be connected at once: `clients`, each with at most `connections`."""

    clients: int
    connections: int = 1


class ClientLimiter:
    """Counts connections by client. `kind` is what a client is called. Not thread-safe."""

    def __init__(self, kind: str, limits: Limits) -> None:
        self._kind, self._limits = kind, limits
        self._connected: Counter[str] = Counter()
        self.refused = 0
        """Connections that were refused."""

    @property
    def clients(self) -> int:
        """How many different clients are connected."""
        return len(self._connected)

    def enter(self, client: str) -> None:
        """Count a new connection of this client. Raises TooManyPeersError if it would exceed a limit."""
        if reason := self._why_not(client):
            self.refused += 1
            raise TooManyPeersError(reason)
        self._connected[client] += 1

    def leave(self, client: str) -> None:
        """Count the end of a connection of a client that entered."""
        self._connected[client] -= 1
        if not self._connected[client]:
            del self._connected[client]

    def _why_not(self, client: str) -> str | None:
        limits, own = self._limits, self._connected.get(client, 0)
        if not own and len(self._connected) >= limits.clients:
            return f"{limits.clients} {self._kind}s are connected, the most that may be at once: try again later"
        if own >= limits.connections:
            return f"this {self._kind} has {own} connections, the most that it may have at once: close one first"
        if self._connected.total() >= MOST_CONNECTIONS:
            return f"there are {MOST_CONNECTIONS} connections, the most that may be at once: try again later"
        return None
