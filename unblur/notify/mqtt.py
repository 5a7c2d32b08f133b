"""MQTT notifier: publishes events and presence to a broker (MQTT 3.1.1, through aiomqtt)."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Sequence

import structlog
from aiomqtt import Client, MqttError, Will

from configs.schema import Mqtt as Settings
from stream.errors import UsageError
from stream.events.jsonl_log import to_line
from stream.results import Event
from unblur.notify.base import NO_HOST_NAME, DeliveryStatus
from unblur.notify.dispatcher import Dispatcher
from unblur.notify.mqtt_topics import OFFLINE, ONLINE, Presence, Topics

_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.5, 30.0
_KEEPALIVE_S = 20
"""Keepalive in seconds; after 1.5 times that without a packet the broker publishes the will, `offline`."""
_AT_LEAST_ONCE = 1

_log = structlog.get_logger(__name__)


class MqttNotifier:
    """Publishes each event, and who is present, to an MQTT broker; reconnects without end. While disconnected, up to
    `dispatcher.CAPACITY` events wait.

    Raises UsageError if the CA certificates cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings.prefix)
        self._tls = _tls_context(settings) if settings.tls else None
        self._cameras: Sequence[str] = ()
        self._presence = Presence()
        self._dispatcher = Dispatcher("mqtt", self._deliver)
        self._unconfirmed: Event | None = None
        self._delivered, self._retry_s = 0, _FIRST_RETRY_S
        self._problem: str | None = "not connected yet"

    def open(self, cameras: Sequence[str]) -> None:
        self._cameras = cameras
        self._dispatcher.open()

    def write(self, event: Event) -> None:
        self._presence.note(event)
        self._dispatcher.put(event)

    def close(self) -> None:
        self._dispatcher.close()

    def delivery(self) -> DeliveryStatus:
        waiting = len(self._dispatcher) + (self._unconfirmed is not None)
        return DeliveryStatus("mqtt", self._delivered, waiting, self._dispatcher.dropped, self._problem)

    async def _deliver(self) -> None:
        while not self._dispatcher.closing:
            try:
                async with self._client() as broker:
                    await self._publish_state(broker)
                    await self._serve_connection(broker)
            except* (MqttError, OSError, UnicodeError) as errors:
                self._on_connection_lost(_problem(errors.exceptions[0]))
                await self._dispatcher.pause(self._retry_s * random.uniform(0.5, 1.0))
                self._retry_s = min(2 * self._retry_s, _LONGEST_RETRY_S)

    def _client(self) -> Client:
        password = self._settings.password
        return Client(
            self._settings.host,
            self._settings.port,
            username=self._settings.username,
            password=password.get_secret_value() if password else None,
            will=Will(self._topics.available, OFFLINE, _AT_LEAST_ONCE, retain=True),
            keepalive=_KEEPALIVE_S,
            tls_context=self._tls,
        )

    async def _publish_state(self, broker: Client) -> None:
        """Publish all retained messages again: a restarted broker may have lost them."""
        if root := self._settings.discovery:
            for topic, content in (self._topics.discovery(root, camera) for camera in self._cameras):
                await broker.publish(topic, to_line(content), _AT_LEAST_ONCE, retain=True)
        for camera in self._cameras:
            await self._publish_presence(broker, camera)
        await broker.publish(self._topics.available, ONLINE, _AT_LEAST_ONCE, retain=True)
        _log.info("connected to the MQTT broker", host=self._settings.host)
        self._problem, self._retry_s = None, _FIRST_RETRY_S

    async def _serve_connection(self, broker: Client) -> None:
        """Publish events until `close`, or until the connection is lost, which is also detected while idle."""
        async with asyncio.TaskGroup() as group:
            watchdog = group.create_task(_wait_for_disconnect(broker))
            await self._publish_events(broker)
            watchdog.cancel()
        await broker.publish(self._topics.available, OFFLINE, _AT_LEAST_ONCE, retain=True)

    async def _publish_events(self, broker: Client) -> None:
        while event := self._unconfirmed or await self._dispatcher.take():
            self._unconfirmed = event  # kept until the broker confirms it, also across connections
            await broker.publish(self._topics.events(event.camera), to_line(event.to_json()), _AT_LEAST_ONCE)
            self._unconfirmed = None
            self._delivered += 1
            await self._publish_presence(broker, event.camera)

    async def _publish_presence(self, broker: Client, camera: str) -> None:
        state = to_line(self._presence.state(camera))
        await broker.publish(self._topics.presence(camera), state, _AT_LEAST_ONCE, retain=True)

    def _on_connection_lost(self, problem: str) -> None:
        self._problem = problem
        _log.warning("no connection to the MQTT broker", host=self._settings.host, problem=problem)


def _problem(error: Exception) -> str:
    return NO_HOST_NAME if isinstance(error, UnicodeError) else str(error)


async def _wait_for_disconnect(broker: Client) -> None:
    """Wait until the connection ends, with MqttError; no message arrives, as nothing is subscribed to."""
    async for _ in broker.messages:
        pass


def _tls_context(settings: Settings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca)
    except OSError as error:
        raise UsageError(f"cannot read certificates from {settings.ca} (notify.mqtt.ca): {error.strerror}") from error
