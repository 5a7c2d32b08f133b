"""Telling an MQTT broker who is seen (MQTT 3.1.1, through aiomqtt)."""

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
"""After one and a half of it in silence the broker takes us for dead, and says so in our place."""
_AT_LEAST_ONCE = 1

_log = structlog.get_logger(__name__)


class Mqtt:
    """Tells the broker each event, and who is present; calls again for as long as it takes when there is no broker.
    While none is there, up to `outbox.CAPACITY` events wait.

    Raises UsageError if the certificates to trust cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings.prefix)
        self._tls = _trusting(settings) if settings.tls else None
        self._cameras: Sequence[str] = ()
        self._presence = Presence()
        self._outbox = Dispatcher("mqtt", self._deliver)
        self._held: Event | None = None
        self._told, self._retry_s = 0, _FIRST_RETRY_S
        self._problem: str | None = "not connected yet"

    def open(self, cameras: Sequence[str]) -> None:
        self._cameras = cameras
        self._outbox.open()

    def write(self, event: Event) -> None:
        self._presence.note(event)
        self._outbox.put(event)

    def close(self) -> None:
        self._outbox.close()

    def delivery(self) -> DeliveryStatus:
        waiting = len(self._outbox) + (self._held is not None)
        return DeliveryStatus("mqtt", self._told, waiting, self._outbox.lost, self._problem)

    async def _deliver(self) -> None:
        while not self._outbox.closing:
            try:
                async with self._client() as broker:
                    await self._introduce(broker)
                    await self._converse(broker)
            except* (MqttError, OSError, UnicodeError) as errors:
                self._lost(_problem(errors.exceptions[0]))
                await self._outbox.pause(self._retry_s * random.uniform(0.5, 1.0))
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

    async def _introduce(self, broker: Client) -> None:
        """Say what there is: a broker that was started anew may have forgotten."""
        if root := self._settings.discovery:
            for topic, content in (self._topics.discovery(root, camera) for camera in self._cameras):
                await broker.publish(topic, to_line(content), _AT_LEAST_ONCE, retain=True)
        for camera in self._cameras:
            await self._tell_presence(broker, camera)
        await broker.publish(self._topics.available, ONLINE, _AT_LEAST_ONCE, retain=True)
        _log.info("connected to the MQTT broker", host=self._settings.host)
        self._problem, self._retry_s = None, _FIRST_RETRY_S

    async def _converse(self, broker: Client) -> None:
        """Until the end, or until the connection is lost, which is noticed even when there is nothing to say."""
        async with asyncio.TaskGroup() as together:
            listening = together.create_task(_listen(broker))
            await self._tell(broker)
            listening.cancel()
        await broker.publish(self._topics.available, OFFLINE, _AT_LEAST_ONCE, retain=True)

    async def _tell(self, broker: Client) -> None:
        while event := self._held or await self._outbox.take():
            self._held = event  # until the broker has it, on whichever connection
            await broker.publish(self._topics.events(event.camera), to_line(event.to_json()), _AT_LEAST_ONCE)
            self._held = None
            self._told += 1
            await self._tell_presence(broker, event.camera)

    async def _tell_presence(self, broker: Client, camera: str) -> None:
        state = to_line(self._presence.state(camera))
        await broker.publish(self._topics.presence(camera), state, _AT_LEAST_ONCE, retain=True)

    def _lost(self, problem: str) -> None:
        self._problem = problem
        _log.warning("no connection to the MQTT broker", host=self._settings.host, problem=problem)


def _problem(error: Exception) -> str:
    return NO_HOST_NAME if isinstance(error, UnicodeError) else str(error)


async def _listen(broker: Client) -> None:
    """Nothing is subscribed to: this ends, with MqttError, when the connection does."""
    async for _ in broker.messages:
        pass


def _trusting(settings: Settings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca)
    except OSError as error:
        raise UsageError(f"cannot read certificates from {settings.ca} (notify.mqtt.ca): {error.strerror}") from error
