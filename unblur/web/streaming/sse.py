"""Event broadcast by server-sent events (HTML Living Standard, 9.2), for pages and programs."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from stream.events.jsonl_log import to_line
from stream.events.schema import EventDict
from stream.results import Event
from unblur.web.transport.access import is_still_authorized

KEPT = 200
"""Latest events that a new or reconnected client receives first; a slow client may fall behind by as many."""
_KEEPALIVE_S = 15.0
"""Interval of keep-alive messages: proxies close idle connections."""
_KEEPALIVE = b": still here\n\n"


_Queue = asyncio.Queue[bytes | None]
"""Unsent messages of one listener; None is the end."""


@dataclass(frozen=True, slots=True)
class _Message:
    number: int
    id: str
    lines: bytes


class EventBroadcaster:
    """An event log that sends events to all connected clients. `write` may be called from any thread, and never waits;
    a client that falls behind by more than `KEPT` events is disconnected, and reconnects by itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._latest: deque[_Message] = deque(maxlen=KEPT)
        self._count = 0
        self._listeners: dict[_Queue, int] = {}

    def write(self, event: Event) -> None:
        with self._lock:
            self._count += 1
            message = _Message(self._count, event.id, _to_message(event.to_json()))
            self._latest.append(message)
            self._loop.call_soon_threadsafe(self._send, message)

    def recall(self, records: Iterable[EventDict]) -> None:
        """Add events that earlier runs logged, oldest first; clients receive them first."""
        with self._lock:
            for record in records:
                self._count += 1
                self._latest.append(_Message(self._count, str(record["id"]), _to_message(record)))

    def close(self) -> None:
        """Disconnect all clients."""
        self._loop.call_soon_threadsafe(self._disconnect_all)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """`GET /api/v1/events/stream`: the latest events, or those after `Last-Event-ID`, and then each as it comes."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        queue = self._add_listener(request.headers.get("Last-Event-ID"))
        try:
            await response.prepare(request)
            await response.write(_KEEPALIVE)  # so that proxies and scripts see at once that the stream has started
            while (lines := await _next(queue)) is not None and await is_still_authorized(request, "viewer"):
                await response.write(lines)
        except ConnectionError:
            pass  # the client is gone
        finally:
            self._listeners.pop(queue, None)
        return response

    def _add_listener(self, after: str | None) -> _Queue:
        """Add a listener, with the latest messages after `after` queued. Messages that the loop has not sent yet are
        among them, and are not sent twice."""
        queue: _Queue = asyncio.Queue(2 * KEPT)
        with self._lock:
            latest, self._listeners[queue] = list(self._latest), self._count
        position = next((number for number, message in enumerate(latest, 1) if message.id == after), 0)
        for message in latest[position:]:
            queue.put_nowait(message.lines)
        return queue

    def _send(self, message: _Message) -> None:
        for queue, last_number in list(self._listeners.items()):
            if message.number <= last_number:
                continue
            try:
                queue.put_nowait(message.lines)
            except asyncio.QueueFull:
                self._disconnect(queue)

    def _disconnect_all(self) -> None:
        for queue in list(self._listeners):
            self._disconnect(queue)

    def _disconnect(self, queue: _Queue) -> None:
        self._listeners.pop(queue, None)
        with suppress(asyncio.QueueEmpty):
            while True:
                queue.get_nowait()
        queue.put_nowait(None)


async def _next(queue: _Queue) -> bytes | None:
    try:
        return await asyncio.wait_for(queue.get(), _KEEPALIVE_S)
    except TimeoutError:
        return _KEEPALIVE


def _to_message(record: EventDict) -> bytes:
    return f"id: {record['id']}\nevent: {record['type']}\ndata: {to_line(record)}\n\n".encode()
