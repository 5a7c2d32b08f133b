"""Image uploads: limited in size, number and rate, and decoded in a separate process."""

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
"""Pixels of one image at most: more than a phone's camera has."""
FILE = 20 << 20
REQUEST = 64 << 20
"""Bytes of one file, and of a whole request, at most."""
A_MINUTE = 120
"""Images of one user per minute."""
SECONDS = 20.0
"""Time limit for decoding an image."""
WAIT = 10.0
"""Seconds that a request waits for its place before it is refused."""
_AT_ONCE = 4
"""Concurrent requests with files in memory, one per sender; the others wait."""
_CHUNK = 1 << 16
_LONGEST_NAME = 80

_File = tuple[str, str, bytes | None]
"""A file's form field, its name, and its content (None if it is too large)."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """An uploaded file: its name, for display only; and its image (H x W x 3 BGR uint8, upright, without metadata), or
    why there is none (`fault`)."""

    name: str
    image: Image | None
    fault: str | None = None
    remark: str | None = None
    """What of the file was not decoded, e.g. all but the first image of an animation."""
    pixels: int = 0
    """Pixels of the file's image before it was shrunk."""


class Uploads:
    """Reads images from requests, for all pages."""

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
        self._sender_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._rate_limiter = _RateLimiter(a_minute)
        self._decoder = Decoder(pixels, seconds)
        self._thread = ThreadPoolExecutor(1, "uploads")  # one image at a time, to leave a core to the cameras
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def pictures(self, request: web.Request, field: str, most: int, long_side: int | None = None) -> list[Upload]:
        """Read the images of a multipart request's fields `field`, in order, of the decoder's `FORMATS` by content;
        larger ones are shrunk to `long_side` pixels, if it is given. All other fields are ignored.

        Raises HTTPBadRequest, HTTPRequestEntityTooLarge, HTTPRequestTimeout, HTTPTooManyRequests or
        HTTPServiceUnavailable, and HTTPForbidden without a signed-in user. A file that cannot be decoded becomes
        an `Upload` with a `fault`.
        """
        return (await self.fields(request, {field: most}, long_side))[field]

    async def fields(
        self, request: web.Request, most: Mapping[str, int], long_side: int | None = None
    ) -> dict[str, list[Upload]]:
        """Read the images of several fields, by name, at most `most[name]` in each. Some fields may be empty, as when a
        browser sends a form without a chosen file, but not all."""
        user = require_role(request, "viewer")
        async with self._reserve_place(_sender_key(request, user)):
            sent = await self._read_files(request, most, partial(self._rate_limiter.count, user.name))
            uploads: dict[str, list[Upload]] = {field: [] for field in most}
            for field, name, content in sent:
                uploads[field].append(await self._decode(name, content, long_side))
        return uploads

    @asynccontextmanager
    async def _reserve_place(self, sender: str) -> AsyncIterator[None]:
        """Hold a place while files are in memory, one per sender, so that a slow upload does not block others. Raises
        HTTPServiceUnavailable."""
        sender_lock = self._sender_locks.setdefault(sender, asyncio.Lock())
        async with AsyncExitStack() as places:
            try:
                async with asyncio.timeout(self._wait):
                    await places.enter_async_context(sender_lock)
                    await places.enter_async_context(self._places)
            except TimeoutError as error:
                raise unavailable("other files are still arriving: send these again in a moment") from error
            yield

    def close(self) -> None:
        """Stop decoding."""
        self._thread.shutdown(cancel_futures=True)
        self._decoder.close()

    async def _decode(self, name: str, content: bytes | None, long_side: int | None) -> Upload:
        if not content:
            limit = f"larger than {self._file >> 20} MiB"
            return Upload(name, None, "the file is empty" if content == b"" else limit)
        decode = partial(self._decoder.decode, content, long_side)
        try:
            still = await asyncio.get_running_loop().run_in_executor(self._thread, decode)
        except ValueError as error:
            return Upload(name, None, str(error))
        return Upload(name, still.image, remark=still.remark, pixels=still.pixels)

    async def _read_files(
        self, request: web.Request, most: Mapping[str, int], count: Callable[[], None]
    ) -> list[_File]:
        """Read the files of a request; `count` is called for each file before it is read."""
        if (request.content_length or 0) > self._request:
            raise web.HTTPRequestEntityTooLarge(self._request, request.content_length or 0, text=self._too_large_text())
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
        bytes_left, counts = self._request, dict.fromkeys(most, 0)
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise web.HTTPBadRequest(text="a form holds fields, not further forms")
            field = part.name if part.name in counts and part.filename != "" else None
            if field:
                counts[field] += 1
                if counts[field] > most[field]:
                    more = f"more than {most[field]} pictures at once as {field}"
                    raise web.HTTPBadRequest(text=f"{more}: send them one after the other")
                count()
            content, size = await self._read_field(part, bytes_left, due)
            bytes_left -= size
            if field:
                yield field, to_display_name(part.filename or ""), content

    async def _read_field(self, part: BodyPartReader, bytes_left: int, due: Deadline) -> tuple[bytes | None, int]:
        """Read a field: its content, None if it is too large for a file; and its size in bytes."""
        content, size = bytearray(), 0
        while not part.at_eof():
            chunk = await part.read_chunk(_CHUNK)
            size += len(chunk)
            due.extend(len(chunk))
            if size > bytes_left:
                raise web.HTTPRequestEntityTooLarge(self._request, size, text=self._too_large_text())
            if size <= self._file:
                content += chunk
        return (bytes(content) if size <= self._file else None), size

    def _too_large_text(self) -> str:
        return f"more than {self._request >> 20} MiB at once: send fewer files"


def to_display_name(name: str) -> str:
    """A file's name for display: without folders, control characters and marks of writing direction, at most 80
    characters; `picture` if nothing remains."""
    base = name.replace("\\", "/").rpartition("/")[2][: 4 * _LONGEST_NAME]  # normalizing takes quadratic time
    composed = unicodedata.normalize("NFC", base)
    printable = "".join(letter for letter in composed if unicodedata.category(letter)[0] != "C")
    return printable.strip()[:_LONGEST_NAME] or "picture"


def _sender_key(request: web.Request, user: User) -> str:
    """The key of a sender; users of the token are distinguished by address."""
    return f"{user.name} {client_address(request)}" if user == TOKEN else user.name


class _RateLimiter:
    """Limits the images per user and minute."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sent_s: dict[str, deque[float]] = {}

    def count(self, user: str) -> None:
        """Count an image. Raises HTTPTooManyRequests above the limit."""
        now = time.monotonic()
        sent = self._sent_s.setdefault(user, deque())
        while sent and sent[0] <= now - 60:
            sent.popleft()
        if len(sent) == self._most:
            raise web.HTTPTooManyRequests(text=f"more than {self._most} pictures within a minute: wait a little")
        sent.append(now)
