"""MQTT topics, presence state and Home Assistant discovery (its documentation: MQTT, "Device discovery payload")."""

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
"""Maximum length of a sensor's state in Home Assistant, in characters."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics under `prefix`. A camera's name is percent-encoded (`front%20door`), since +, # and / have a meaning
    in topics."""

    prefix: str

    @property
    def available(self) -> str:
        """The topic of the availability, `online` or `offline`; retained."""
        return f"{self.prefix}/available"

    def events(self, camera: str) -> str:
        """The topic of a camera's events, with the JSON of the log."""
        return f"{self.prefix}/{_quote_camera(camera)}/events"

    def presence(self, camera: str) -> str:
        """The topic of a camera's `Presence.state`; retained."""
        return f"{self.prefix}/{_quote_camera(camera)}/presence"

    def discovery(self, root: str, camera: str) -> tuple[str, dict[str, object]]:
        """The topic and the content of the retained message by which Home Assistant discovers a camera."""
        device_id = re.sub(
            r"[^A-Za-z0-9-]", lambda match: f"_{ord(match[0]):02x}", f"{self.prefix} {_quote_camera(camera)}"
        )
        return f"{root}/device/{device_id}/config", {
            "device": {
                "identifiers": [device_id],
                "name": camera,
                "manufacturer": "unblur",
                "model": "camera",
                "sw_version": __version__,
            },
            "origin": {"name": "unblur", "sw_version": __version__},
            "availability_topic": self.available,
            "qos": 1,
            "components": {
                name: {"unique_id": f"{device_id}_{name}", **component} for name, component in self._entities(camera)
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


def _quote_camera(camera: str) -> str:
    return quote(camera, safe="", errors="backslashreplace")


PresenceState = dict[str, object]


class Presence:
    """Who is present at each camera, updated by events. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: defaultdict[str, dict[int, str | None]] = defaultdict(dict)
        self._last: dict[str, PresenceState] = {}

    def note(self, event: Event) -> None:
        name, when = event.identity.name, event.wall_time
        with self._lock:
            present = self._present[event.camera]
            present.pop(event.track, None)
            if event.type != "end":
                present[event.track] = name
            self._last[event.camera] = {"name": name, "wall_time": when.isoformat() if when else None}

    def state(self, camera: str) -> PresenceState:
        """Return `present`, the names of the people at a camera, None for an unknown person, and `last`, the name and
        wall time of the last event."""
        with self._lock:
            return {"present": list(self._present[camera].values()), "last": self._last.get(camera)}
