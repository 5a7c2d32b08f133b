"""Telling a web server who is seen: signed POSTs (standardwebhooks.com, 1.0.0), each tried until it arrives."""

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
    """Seconds to wait: for an answer, between tries (doubling, with jitter), and until an event is given up."""

    answer_s: float = 15.0
    first_retry_s: float = 5.0
    longest_retry_s: float = 3600.0
    event_s: float = 86_400.0


PATIENT = WebhookTiming()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a post did not arrive, and how long the server asks not to be called again."""

    problem: str
    retry_after_s: float = 0.0


class Webhook:
    """Posts each event that the hook wants, in order: the next is sent when the one before has arrived or was given up.
    An event may arrive twice, with the same webhook-id. Whatever is no 2xx is tried again; no redirect is followed.

    Events go through memory into the database, and from there on outlive the process.
    """

    def __init__(self, settings: Settings, engine: sql.Engine, patience: WebhookTiming = PATIENT) -> None:
        self._settings, self._patience = settings, patience
        self._queue = Queue(engine, settings.name)
        self._outbox = Dispatcher(f"webhook {settings.name}", self._deliver)
        self._queued = asyncio.Event()
        self._told = self._lost = 0
        self._problem: str | None = None
        self._log = _log.bind(webhook=settings.name)

    def open(self, _: Sequence[str], /) -> None:
        self._outbox.open()

    def write(self, event: Event) -> None:
        if wanted(event, self._settings):
            self._outbox.put(event)

    def close(self) -> None:
        self._outbox.close()

    def delivery(self) -> DeliveryStatus:
        waiting, lost = len(self._outbox) + len(self._queue), self._outbox.lost + self._lost
        return DeliveryStatus(self._settings.name, self._told, waiting, lost, self._problem)

    async def _deliver(self) -> None:
        async with self._session() as session, asyncio.TaskGroup() as together:
            sending = together.create_task(self._send(session))
            while event := await self._outbox.take():
                line, now_s = to_line(event.to_json()), time.time()
                self._lost += await self._insist(lambda: self._queue.add(event.id, line, now_s))  # noqa: B023  awaited
                self._queued.set()
            sending.cancel()

    def _session(self) -> ClientSession:
        return ClientSession(
            timeout=ClientTimeout(total=self._patience.answer_s),
            cookie_jar=DummyCookieJar(),
            headers={hdrs.CONTENT_TYPE: "application/json", hdrs.USER_AGENT: f"unblur/{__version__}"},
        )

    async def _send(self, session: ClientSession) -> None:
        retry_s = self._patience.first_retry_s
        while True:
            self._queued.clear()
            post = await self._insist(self._next)
            if post is None:
                await self._queued.wait()
                continue
            failure = await self._post(session, post)
            self._problem = failure.problem if failure else None
            if failure is None:
                await self._insist(lambda: self._queue.remove(post))  # noqa: B023  awaited at once
                self._told += 1
                retry_s = self._patience.first_retry_s
            else:
                self._log.warning("a webhook did not arrive", problem=failure.problem, retry_in_s=round(retry_s, 1))
                await asyncio.sleep(max(retry_s * random.uniform(0.5, 1.0), failure.retry_after_s))
                retry_s = min(2 * retry_s, self._patience.longest_retry_s)

    def _next(self) -> Post | None:
        self._lost += self._queue.expire(time.time() - self._patience.event_s)
        return self._queue.first()

    async def _post(self, session: ClientSession, post: Post) -> Failure | None:
        """What went wrong; None if it has arrived. What the server says beyond its status is not read."""
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
                return Failure(f"answered {answer.status}", self._asked(answer.headers.get(hdrs.RETRY_AFTER, "")))
        except TimeoutError:
            return Failure(f"no answer in {self._patience.answer_s:g} s")
        except ClientConnectionError as error:  # these name the host at most; others may name the address, a secret
            return Failure(str(error))
        except UnicodeError:  # its words differ from one Python to the next, and may name the host
            return Failure(NO_HOST_NAME)
        except (ClientError, OSError, ValueError) as error:  # of the system, of TLS
            return Failure(type(error).__name__)

    def _asked(self, retry_after: str) -> float:
        return min(float(retry_after), self._patience.longest_retry_s) if retry_after.isdecimal() else 0.0

    async def _insist(self, ask: Callable[[], T]) -> T:
        """Ask the database, again and again while it refuses."""
        while True:
            try:
                return await asyncio.to_thread(ask)
            except SQLAlchemyError as error:
                self._problem = f"the database refuses: {database_error(error)}"
                self._log.warning("webhooks cannot be kept", problem=self._problem)
                await asyncio.sleep(_DATABASE_RETRY_S)


def wanted(event: Event, settings: Settings) -> bool:
    """Whether a hook with these settings is to get the event."""
    name = event.identity.name
    return (
        settings.who in ("anybody", "unknown" if name is None else "known")
        and (not settings.people or name in settings.people)
        and (not settings.cameras or event.camera in settings.cameras)
        and (not settings.types or event.type in settings.types)
    )


def sign(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """The header webhook-signature. `secret` is whsec_ and base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
