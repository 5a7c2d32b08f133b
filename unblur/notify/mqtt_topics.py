"""The MQTT topics, and how Home Assistant is told of them (its documentation: MQTT, "Device discovery payload")."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from dataclasses import dataclass
from urllib.parse import quote

from stream.results import Event
from unblur import __version__

ONLINE, OFFLINE = "online", "offline"
_LONGEST_STATE = 255
"""Characters that Home Assistant takes for the state of a sensor."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics under `prefix`. A camera's name is written as in an address (`front%20door`), since +, # and / mean
    something in a topic."""

    prefix: str

    @property
    def available(self) -> str:
        """`online` or `offline`; retained."""
        return f"{self.prefix}/available"

    def events(self, camera: str) -> str:
        """Each event, as in the log."""
        return f"{self.prefix}/{_written(camera)}/events"

    def presence(self, camera: str) -> str:
        """Who is here, as `Presence.state` has it; retained."""
        return f"{self.prefix}/{_written(camera)}/presence"

    def discovery(self, root: str, camera: str) -> tuple[str, dict[str, object]]:
        """The topic and the content, both retained, by which Home Assistant finds a camera."""
        number = re.sub(r"[^A-Za-z0-9-]", lambda found: f"_{ord(found[0]):02x}", f"{self.prefix} {_written(camera)}")
        return f"{root}/device/{number}/config", {
            "device": {
                "identifiers": [number],
                "name": camera,
                "manufacturer": "unblur",
                "model": "camera",
                "sw_version": __version__,
            },
            "origin": {"name": "unblur", "sw_version": __version__},
            "availability_topic": self.available,
            "qos": 1,
            "components": {
                name: {"unique_id": f"{number}_{name}", **component} for name, component in self._entities(camera)
            },
        }

    def _entities(self, camera: str) -> list[tuple[str, dict[str, object]]]:
        last = "{% if value_json.last %}{{ (value_json.last.name or 'somebody unknown')[:LONGEST] }}{% endif %}"
        return [
            (
                "last",
                {
                    "platform": "sensor",
                    "name": "Last person",
                    "icon": "mdi:account-eye",
                    "state_topic": self.presence(camera),
                    "value_template": last.replace("LONGEST", str(_LONGEST_STATE)),
                    "json_attributes_topic": self.presence(camera),
                },
            ),
            (
                "presence",
                {
                    "platform": "binary_sensor",
                    "name": "Presence",
                    "device_class": "occupancy",
                    "state_topic": self.presence(camera),
                    "value_template": "{{ 'ON' if value_json.present else 'OFF' }}",
                },
            ),
            (
                "seen",
                {
                    "platform": "event",
                    "name": "Seen",
                    "event_types": ["new", "update", "end"],
                    "state_topic": self.events(camera),
                    "value_template": "{{ dict(value_json, event_type=value_json.type) | tojson }}",
                },
            ),
        ]


def _written(camera: str) -> str:
    return quote(camera, safe="", errors="backslashreplace")


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
