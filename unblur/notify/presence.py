"""Who is before each camera now, and who was last, as the events tell."""

from __future__ import annotations

import threading
from collections import defaultdict

from stream.values import Event

State = dict[str, object]


class Presence:
    """Kept up to date with each event. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._here: defaultdict[str, dict[int, str | None]] = defaultdict(dict)
        self._last: dict[str, State] = {}

    def note(self, event: Event) -> None:
        name, when = event.identity.name, event.wall_time
        with self._lock:
            here = self._here[event.camera]
            here.pop(event.track, None)
            if event.type != "end":
                here[event.track] = name
            self._last[event.camera] = {"name": name, "wall_time": when.isoformat() if when else None}

    def state(self, camera: str) -> State:
        """`present`: the names of those who are here, null for somebody unknown; `last`: who was last, and when."""
        with self._lock:
            return {"present": list(self._here[camera].values()), "last": self._last.get(camera)}
