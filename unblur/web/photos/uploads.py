"""Pictures that people send: limited in size, number and rate, and decoded where they can do no harm."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from weakref import WeakValueDictionary

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from stream.values import Image
from unblur.web.photos.image_decoder import Decoder
from unblur.web.transport.access import TOKEN, User, require_role
from unblur.web.transport.errors import unavailable
from unblur.web.transport.request_body import UPLOAD_PACE, Deadline, MinimumRate, deadline
from unblur.web.transport.request_origin import client_address

PIXELS = 50_000_000
"""Of one picture: more than a telephone's."""
FILE = 20 << 20
REQUEST = 64 << 20
"""Bytes of one file, and of everything that is sent with it."""
A_MINUTE = 120
"""Pictures of one user."""
SECONDS = 20.0
"""That a picture may take to decode."""
WAIT = 10.0
"""Seconds that a request waits for its place before it is refused."""
_AT_ONCE = 4
"""Requests whose files are in memory, one of each sender; the others wait."""
_CHUNK = 1 << 16
_LONGEST_NAME = 80

_File = tuple[str, str, bytes | None]
"""The field that a file was sent as, its name, and its content; None if there is too much of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A file that was sent: its name, for display only; and its picture (H x W x 3 BGR uint8, upright, without
    anything that stood in the file beside it) or why there is none."""

    name: str
    image: Image | None
    fault: str | None = None
    remark: str | None = None
    """What of the file was not decoded: all but the first picture of an animation."""
    pixels: int = 0
    """Of the file's picture, before it was shrunk."""


class Uploads:
    """Takes pictures out of requests, for all pages."""

    def __init__(
        self,
        *,
        pixels: int = PIXELS,
        file: int = FILE,
        request: int = REQUEST,
        a_minute: int = A_MINUTE,
        seconds: float = SECONDS,
        pace: MinimumRate = UPLOAD_PACE,
        wait: float = WAIT,
    ) -> None:
        self._file, self._request, self._pace, self._wait = file, request, pace, wait
        self._own: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._rate = _Rate(a_minute)
        self._decoder = Decoder(pixels, seconds)
        self._thread = ThreadPoolExecutor(1, "uploads")  # one picture at a time leaves the cameras a core
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def pictures(self, request: web.Request, field: str, most: int, long_side: int | None = None) -> list[Upload]:
        """The pictures of a multipart request's fields `field`, in order, of the decoder's `FORMATS` by content; if
        there is a `long_side`, shrunk until they are no longer than that. All other fields are passed over.

        Raises HTTPBadRequest, HTTPRequestEntityTooLarge, HTTPRequestTimeout, HTTPTooManyRequests or
        HTTPServiceUnavailable, and HTTPForbidden for who was not let in. A file that is at fault by itself comes as an
        `Upload` that says so.
        """
        return (await self.fields(request, {field: most}, long_side))[field]

    async def fields(
        self, request: web.Request, most: Mapping[str, int], long_side: int | None = None
    ) -> dict[str, list[Upload]]:
        """The same for several fields, by name, with at most so many pictures in each. There may be none in some, as
        when a browser sends a form in which nothing was chosen, but not in all."""
        user = require_role(request, "viewer")
        async with self._place(_sender(request, user)):
            sent = await self._sent(request, most, partial(self._rate.count, user.name))
            uploads: dict[str, list[Upload]] = {field: [] for field in most}
            for field, name, content in sent:
                uploads[field].append(await self._upload(name, content, long_side))
        return uploads

    @asynccontextmanager
    async def _place(self, sender: str) -> AsyncIterator[None]:
        """One of each sender, so that nobody's slow upload keeps others waiting. Raises HTTPServiceUnavailable."""
        own = self._own.setdefault(sender, asyncio.Lock())
        async with AsyncExitStack() as places:
            try:
                async with asyncio.timeout(self._wait):
                    await places.enter_async_context(own)
                    await places.enter_async_context(self._room)
            except TimeoutError as error:
                raise unavailable("other files are still arriving: send these again in a moment") from error
            yield

    def close(self) -> None:
        """No more pictures will come."""
        self._thread.shutdown(cancel_futures=True)
        self._decoder.close()

    async def _upload(self, name: str, content: bytes | None, long_side: int | None) -> Upload:
        if not content:
            limit = f"larger than {self._file >> 20} MiB"
            return Upload(name, None, "the file is empty" if content == b"" else limit)
        decode = partial(self._decoder.decode, content, long_side)
        try:
            still = await asyncio.get_running_loop().run_in_executor(self._thread, decode)
        except ValueError as error:
            return Upload(name, None, str(error))
        return Upload(name, still.image, remark=still.remark, pixels=still.pixels)

    async def _sent(self, request: web.Request, most: Mapping[str, int], count: Callable[[], None]) -> list[_File]:
        """`count` is told of each file before it is read."""
        if (request.content_length or 0) > self._request:
            raise web.HTTPRequestEntityTooLarge(self._request, request.content_length or 0, text=self._too_much())
        try:
            async with deadline(self._pace) as due:
                sent = [each async for each in self._files(request, most, count, due)]
        except (ValueError, RuntimeError, ConnectionError, HttpProcessingError) as error:
            raise web.HTTPBadRequest(text="the body is not the multipart form that its header says") from error
        if not sent:
            raise web.HTTPBadRequest(text=f"no file was sent as {' or '.join(most)}")
        return sent

    async def _files(
        self, request: web.Request, most: Mapping[str, int], count: Callable[[], None], due: Deadline
    ) -> AsyncIterator[_File]:
        if request.content_type != "multipart/form-data":
            raise web.HTTPBadRequest(text=f"files are sent as multipart/form-data, not {request.content_type}")
        left, found = self._request, dict.fromkeys(most, 0)
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise web.HTTPBadRequest(text="a form holds fields, not further forms")
            field = part.name if part.name in found and part.filename != "" else None
            if field:
                found[field] += 1
                if found[field] > most[field]:
                    more = f"more than {most[field]} pictures at once as {field}"
                    raise web.HTTPBadRequest(text=f"{more}: send them one after the other")
                count()
            content, size = await self._content(part, left, due)
            left -= size
            if field:
                yield field, displayed(part.filename or ""), content

    async def _content(self, part: BodyPartReader, left: int, due: Deadline) -> tuple[bytes | None, int]:
        """What stands in a field, or None if that is too much for a file; and how much it is."""
        content, size = bytearray(), 0
        while not part.at_eof():
            chunk = await part.read_chunk(_CHUNK)
            size += len(chunk)
            due.arrived(len(chunk))
            if size > left:
                raise web.HTTPRequestEntityTooLarge(self._request, size, text=self._too_much())
            if size <= self._file:
                content += chunk
        return (bytes(content) if size <= self._file else None), size

    def _too_much(self) -> str:
        return f"more than {self._request >> 20} MiB at once: send fewer files"


def displayed(name: str) -> str:
    """A file's name as it may be shown: without its folders, control characters, what turns writing around, and all
    that is beyond 80 characters; `picture` if nothing remains."""
    base = name.replace("\\", "/").rpartition("/")[2][: 4 * _LONGEST_NAME]  # normalising takes the square of the length
    composed = unicodedata.normalize("NFC", base)
    kept = "".join(letter for letter in composed if unicodedata.category(letter)[0] != "C")
    return kept.strip()[:_LONGEST_NAME] or "picture"


def _sender(request: web.Request, user: User) -> str:
    """The token is everybody's who knows it."""
    return f"{user.name} {client_address(request)}" if user == TOKEN else user.name


class _Rate:
    """How many pictures each user has sent within a minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sent: dict[str, deque[float]] = {}

    def count(self, user: str) -> None:
        """One more. Raises HTTPTooManyRequests if that is too many."""
        now = time.monotonic()
        sent = self._sent.setdefault(user, deque())
        while sent and sent[0] <= now - 60:
            sent.popleft()
        if len(sent) == self._most:
            raise web.HTTPTooManyRequests(text=f"more than {self._most} pictures within a minute: wait a little")
        sent.append(now)
