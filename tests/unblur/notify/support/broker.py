"""A real Mosquitto broker, and a subscriber."""

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
    """Mosquitto on a free port; it can be stopped and started again on the same port, with its sessions."""

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
    """Subscriber to all topics, which first gets the retained messages. Its session is persistent."""

    def __init__(self, port: int) -> None:
        self.messages: queue.Queue[tuple[str, str]] = queue.Queue()
        self._client = Client(CallbackAPIVersion.VERSION2, f"listener {uuid4()}", clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        at_end(self.close)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.messages.put((message.topic, message.payload.decode()))

    def until(self, topic: str, payload: str | None = None) -> str:
        """Wait for the next message on `topic`, with this `payload` if given; skips all others."""
        while True:
            received_topic, received = self.messages.get(timeout=WITHIN_S)
            if received_topic == topic and payload in (None, received):
                return received

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
