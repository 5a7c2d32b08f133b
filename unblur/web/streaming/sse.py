"""Events as they happen, for pages and programs that wait for them: server-sent events (HTML Living Standard, 9.2)."""

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
"""Events that somebody who comes, or comes back, is told first; as many may wait for one who is slow."""
_SILENCE_S = 15.0
"""Proxies end a connection on which nothing is said for long."""
_SILENT = b": still here\n\n"


_Waiting = asyncio.Queue[bytes | None]
"""What one listener has yet to be told; None is the end."""


@dataclass(frozen=True, slots=True)
class _Message:
    number: int
    id: str
    lines: bytes


class EventBroadcaster:
    """A log that tells everybody who listens. `write` may be called from any thread, and never waits; who is so slow
    that more than `KEPT` events wait for them is let go, and comes back by itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._latest: deque[_Message] = deque(maxlen=KEPT)
        self._count = 0
        self._listeners: dict[_Waiting, int] = {}

    def write(self, event: Event) -> None:
        with self._lock:
            self._count += 1
            message = _Message(self._count, event.id, _lines(event.to_json()))
            self._latest.append(message)
            self._loop.call_soon_threadsafe(self._tell, message)

    def recall(self, records: Iterable[EventDict]) -> None:
        """What was logged by runs before this one, the oldest first: it is told first to whoever comes."""
        with self._lock:
            for record in records:
                self._count += 1
                self._latest.append(_Message(self._count, str(record["id"]), _lines(record)))

    def close(self) -> None:
        """Nothing more will happen: everybody is let go."""
        self._loop.call_soon_threadsafe(self._let_go)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """`GET /api/v1/events/stream`: the latest events, or those after `Last-Event-ID`, and then each as it comes."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        waiting = self._listener(request.headers.get("Last-Event-ID"))
        try:
            await response.prepare(request)
            await response.write(_SILENT)  # a proxy, and a browser's script, learn at once that this has begun
            while (lines := await _next(waiting)) is not None and await is_still_authorized(request, "viewer"):
                await response.write(lines)
        except ConnectionError:
            pass  # whoever listened is gone
        finally:
            self._listeners.pop(waiting, None)
        return response

    def _listener(self, after: str | None) -> _Waiting:
        """With the latest messages; those that the loop has yet to tell are among them, and are not told again."""
        waiting: _Waiting = asyncio.Queue(2 * KEPT)
        with self._lock:
            latest, self._listeners[waiting] = list(self._latest), self._count
        known = next((number for number, message in enumerate(latest, 1) if message.id == after), 0)
        for message in latest[known:]:
            waiting.put_nowait(message.lines)
        return waiting

    def _tell(self, message: _Message) -> None:
        for waiting, told in list(self._listeners.items()):
            if message.number <= told:
                continue
            try:
                waiting.put_nowait(message.lines)
            except asyncio.QueueFull:
                self._dismiss(waiting)

    def _let_go(self) -> None:
        for waiting in list(self._listeners):
            self._dismiss(waiting)

    def _dismiss(self, waiting: _Waiting) -> None:
        self._listeners.pop(waiting, None)
        with suppress(asyncio.QueueEmpty):
            while True:
                waiting.get_nowait()
        waiting.put_nowait(None)


async def _next(waiting: _Waiting) -> bytes | None:
    try:
        return await asyncio.wait_for(waiting.get(), _SILENCE_S)
    except TimeoutError:
        return _SILENT


def _lines(record: EventDict) -> bytes:
    return f"id: {record['id']}\nevent: {record['type']}\ndata: {to_line(record)}\n\n".encode()
