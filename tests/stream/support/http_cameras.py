"""Cameras and evil addresses over HTTP: aiohttp on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

from aiohttp import web
from PIL import Image as Pillow

from tests.stream.support.media import numbered

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def jpeg(number: int) -> bytes:
    buffer = BytesIO()
    Pillow.fromarray(numbered(number)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@contextmanager
def serve_cameras(routes: dict[str, Answer], host: str = "127.0.0.1") -> Iterator[int]:
    """The port at which the routes are answered."""
    loop = asyncio.new_event_loop()
    application = web.Application()
    application.add_routes([web.get(path, answer) for path, answer in routes.items()])
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, host, 0)
    loop.run_until_complete(site.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield runner.addresses[0][1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(runner), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(runner: web.AppRunner) -> None:
    await runner.cleanup()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def redirect_to(address: str) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": address})

    return answer


def body_of(content: bytes, content_type: str = "application/octet-stream") -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, content_type=content_type)

    return answer


def stream_of(parts: Callable[[], Iterator[bytes]], content_type: str, every_s: float = 0.05) -> Answer:
    """A body without a stated length: a part every so many seconds, until the viewer has gone or there are no more."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        with suppress(ConnectionError):
            for part in parts():
                await response.write(part)
                await asyncio.sleep(every_s)
        return response

    return answer
