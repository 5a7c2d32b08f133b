"""A real Mosquitto to test against, and somebody who listens to it."""

from __future__ import annotations

import queue
import shutil
import socket
import subprocess
from pathlib import Path
from uuid import uuid4

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.ending import at_end
from tests.unblur.notify.support.waiting import WITHIN_S, until

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


class Broker:
    """Mosquitto on a free port; `stop` it, and `start` it again at the same, with the sessions that it had."""

    def __init__(self, folder: Path, *settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        lines = ["user root", "persistence true", f"persistence_location {folder}/"]
        lines += [f"listener {self.port} 127.0.0.1", *(settings or ["allow_anonymous true"])]
        self._config.write_text("\n".join([*lines, ""]), encoding="utf-8")
        self.start()
        at_end(self.stop)

    def start(self) -> None:
        assert MOSQUITTO
        command = [MOSQUITTO, "-c", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._listens)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _listens(self) -> bool:
        assert self._process.poll() is None, "mosquitto has ended"
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """Hears everything that the broker is told, and first what it retained. Its session outlives the connection."""

    def __init__(self, port: int) -> None:
        self.heard: queue.Queue[tuple[str, str]] = queue.Queue()
        self._client = Client(CallbackAPIVersion.VERSION2, f"listener {uuid4()}", clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        at_end(self.close)

    def _hear(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.heard.put((message.topic, message.payload.decode()))

    def until(self, topic: str, payload: str | None = None) -> str:
        """What it is told next on this topic (this, if given). Whatever comes before is passed over."""
        while True:
            told, said = self.heard.get(timeout=WITHIN_S)
            if told == topic and payload in (None, said):
                return said

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
