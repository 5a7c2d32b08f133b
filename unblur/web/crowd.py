"""Who is connected, and who is one too many: each connection takes a handle, of which the recording needs some too."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from unblur.web.provenance import household, is_local

MOST = 256
"""Connections at once, in all,"""
OF_ONE = 64
"""and from one address; a browser has six. A proxy on this machine speaks for everybody, and may have them all."""
KEPT = 16
"""Of all: no matter how many are signed in, so many are left for probes, and for signing in."""


class Connection(Protocol):
    """A connection that can be ended."""

    def force_close(self) -> None: ...


class Crowd:
    """Counts connections by where they come from. Those whose last request proved nothing (none has come yet, or who
    asked is not signed in) make room for others, the one that came first before the rest: so none of them keeps anybody
    out. Used by one thread."""

    def __init__(self, most: int = MOST, of_one: int = OF_ONE, kept: int = KEPT) -> None:
        self._most, self._of_one, self._kept = most, of_one, kept
        self._unproved: dict[Connection, str] = {}
        self._proved: dict[Connection, str] = {}
        self._inside: Counter[str] = Counter()
        self.refused = 0
        """Connections that were turned away, or ended to make room."""

    def enter(self, peer: str, connection: Connection) -> bool:
        """One more from there; False if that is one too many."""
        here = household(peer) or peer
        if self._inside[here] >= self._of_one and not is_local(peer):
            is_in = self._displace(here)
        else:
            is_in = self._inside.total() < self._most or self._displace(None)
        if is_in:
            self._unproved[connection] = here
            self._inside[here] += 1
        else:
            self.refused += 1
        return is_in

    def leave(self, connection: Connection) -> None:
        """One less, if it is still among those who entered."""
        here = self._unproved.pop(connection, None) or self._proved.pop(connection, None)
        if here is not None:
            self._inside[here] -= 1
            if not self._inside[here]:
                del self._inside[here]

    def prove(self, connection: Connection) -> bool:
        """Whoever asks is signed in; False if so many are that there would be no place for probes."""
        here = self._unproved.get(connection)
        if here is None:
            return True
        if len(self._proved) >= self._most - self._kept:
            self.refused += 1
            return False
        self._proved[connection] = self._unproved.pop(connection)
        return True

    def disprove(self, connection: Connection) -> None:
        """Whoever asks now is not signed in."""
        if connection in self._proved:
            self._unproved[connection] = self._proved.pop(connection)

    def _displace(self, here: str | None) -> bool:
        """End one that proved nothing, of `here` or of all; whether there was one."""
        first = next((each for each, where in self._unproved.items() if here in (None, where)), None)
        if first is None:
            return False
        self.leave(first)
        first.force_close()
        self.refused += 1
        return True
