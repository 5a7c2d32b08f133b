"""Who is connected, and who is one too many: each connection takes a handle, of which the recording needs some too."""

from __future__ import annotations

from collections import Counter

from unblur.web.provenance import household, is_local

MOST = 256
"""Connections at once, in all,"""
OF_ONE = 64
"""and from one address; a browser has six. A proxy on this machine speaks for everybody, and may have them all."""


class Crowd:
    """Counts connections by where they come from. Used by one thread."""

    def __init__(self, most: int = MOST, of_one: int = OF_ONE) -> None:
        self._most, self._of_one = most, of_one
        self._inside: Counter[str] = Counter()
        self.refused = 0

    def enter(self, peer: str) -> bool:
        """One more from there; False if that is one too many."""
        here = household(peer) or peer
        full = self._inside.total() >= self._most or (self._inside[here] >= self._of_one and not is_local(peer))
        if full:
            self.refused += 1
        else:
            self._inside[here] += 1
        return not full

    def leave(self, peer: str) -> None:
        """One less of those who entered."""
        here = household(peer) or peer
        self._inside[here] -= 1
        if not self._inside[here]:
            del self._inside[here]
