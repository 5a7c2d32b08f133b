"""Webhook notifier: signed POSTs of events to a web server (standardwebhooks.com, 1.0.0), with retries."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sql
import structlog
from aiohttp import ClientConnectionError, ClientError, ClientSession, ClientTimeout, DummyCookieJar, hdrs
from sqlalchemy.exc import SQLAlchemyError

from configs.schema import Webhook as Settings
from stream.events.jsonl_log import to_line
from stream.results import Event
from stream.storage.database import database_error
from unblur import __version__
from unblur.notify.base import NO_HOST_NAME, DeliveryStatus
from unblur.notify.dispatcher import Dispatcher
from unblur.notify.webhook_queue import Post, Queue

T = TypeVar("T")
_DATABASE_RETRY_S = 1.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookTiming:
    """Timeouts in seconds: for a response, between retries (exponential back-off with jitter), and for an event's
    delivery."""

    answer_s: float = 15.0
    first_retry_s: float = 5.0
    longest_retry_s: float = 3600.0
    event_s: float = 86_400.0


DEFAULT_TIMING = WebhookTiming()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a post failed, and the server's Retry-After in seconds."""

    problem: str
    retry_after_s: float = 0.0


class WebhookNotifier:
    """Posts each event that matches the hook's filter, in order: the next one after the previous one has arrived or has
    expired. Delivery is at least once, with the same webhook-id. Every response other than 2xx is retried; redirects
    are not followed.

    Events are queued in memory, then in the database, where they survive the process.
    """

    def __init__(self, settings: Settings, engine: sql.Engine, timing: WebhookTiming = DEFAULT_TIMING) -> None:
        self._settings, self._timing = settings, timing
        self._queue = Queue(engine, settings.name)
        self._dispatcher = Dispatcher(f"webhook {settings.name}", self._deliver)
        self._queued = asyncio.Event()
        self._delivered = self._dropped = 0
        self._problem: str | None = None
        self._log = _log.bind(webhook=settings.name)

    def open(self, _: Sequence[str], /) -> None:
        self._dispatcher.open()

    def write(self, event: Event) -> None:
        if is_wanted(event, self._settings):
            self._dispatcher.put(event)

    def close(self) -> None:
        self._dispatcher.close()

    def delivery(self) -> DeliveryStatus:
        waiting, lost = len(self._dispatcher) + len(self._queue), self._dispatcher.dropped + self._dropped
        return DeliveryStatus(self._settings.name, self._delivered, waiting, lost, self._problem)

    async def _deliver(self) -> None:
        async with self._session() as session, asyncio.TaskGroup() as group:
            sending = group.create_task(self._send(session))
            while event := await self._dispatcher.take():
                line, now_s = to_line(event.to_json()), time.time()
                self._dropped += await self._retry_database(lambda: self._queue.add(event.id, line, now_s))  # noqa: B023  awaited
                self._queued.set()
            sending.cancel()

    def _session(self) -> ClientSession:
        return ClientSession(
            timeout=ClientTimeout(total=self._timing.answer_s),
            cookie_jar=DummyCookieJar(),
            headers={hdrs.CONTENT_TYPE: "application/json", hdrs.USER_AGENT: f"unblur/{__version__}"},
        )

    async def _send(self, session: ClientSession) -> None:
        retry_s = self._timing.first_retry_s
        while True:
            self._queued.clear()
            post = await self._retry_database(self._next)
            if post is None:
                await self._queued.wait()
                continue
            failure = await self._post(session, post)
            self._problem = failure.problem if failure else None
            if failure is None:
                await self._retry_database(lambda: self._queue.remove(post))  # noqa: B023  awaited at once
                self._delivered += 1
                retry_s = self._timing.first_retry_s
            else:
                self._log.warning("a webhook did not arrive", problem=failure.problem, retry_in_s=round(retry_s, 1))
                await asyncio.sleep(max(retry_s * random.uniform(0.5, 1.0), failure.retry_after_s))
                retry_s = min(2 * retry_s, self._timing.longest_retry_s)

    def _next(self) -> Post | None:
        self._dropped += self._queue.expire(time.time() - self._timing.event_s)
        return self._queue.first()

    async def _post(self, session: ClientSession, post: Post) -> Failure | None:
        """Send a post; return the failure, None on success. The response body is not read."""
        body, now = post.body.encode(), str(int(time.time()))
        headers = {
            "webhook-id": post.id,
            "webhook-timestamp": now,
            "webhook-signature": sign(self._settings.secret.get_secret_value(), post.id, now, body),
        }
        url = self._settings.url.get_secret_value()
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return None
                return Failure(
                    f"answered {answer.status}", self._retry_after_s(answer.headers.get(hdrs.RETRY_AFTER, ""))
                )
        except TimeoutError:
            return Failure(f"no answer in {self._timing.answer_s:g} s")
        except ClientConnectionError as error:  # its text has no more than the host; others may have the secret URL
            return Failure(str(error))
        except UnicodeError:  # its text differs between Python versions
            return Failure(NO_HOST_NAME)
        except (ClientError, OSError, ValueError) as error:  # of the system, of TLS
            return Failure(type(error).__name__)

    def _retry_after_s(self, retry_after: str) -> float:
        return min(float(retry_after), self._timing.longest_retry_s) if retry_after.isdecimal() else 0.0

    async def _retry_database(self, call: Callable[[], T]) -> T:
        """Run a database call in a thread, retried until it succeeds."""
        while True:
            try:
                return await asyncio.to_thread(call)
            except SQLAlchemyError as error:
                self._problem = f"the database refuses: {database_error(error)}"
                self._log.warning("webhooks cannot be kept", problem=self._problem)
                await asyncio.sleep(_DATABASE_RETRY_S)


def is_wanted(event: Event, settings: Settings) -> bool:
    """Whether the event matches the filter of these settings."""
    name = event.identity.name
    return (
        settings.who in ("anybody", "unknown" if name is None else "known")
        and (not settings.people or name in settings.people)
        and (not settings.cameras or event.camera in settings.cameras)
        and (not settings.types or event.type in settings.types)
    )


def sign(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """Compute the header webhook-signature. `secret` is the prefix whsec_ and a key in base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
