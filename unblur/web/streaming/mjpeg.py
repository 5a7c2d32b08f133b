"""Cameras as JPEG pictures, one after the other, in an answer that goes on (`multipart/x-mixed-replace`): for browsers
and networks through which WebRTC cannot pass, and for whatever shows MJPEG."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from urllib.parse import quote

from aiohttp import hdrs, web

from stream.webrtc.client_limiter import ClientLimiter, TooManyPeersError
from stream.webrtc.jpeg_broadcast import Jpeg, JpegBroadcast
from stream.webrtc.video_encoder import Size
from unblur.web.streaming.viewer_clients import client_of, size_of
from unblur.web.streaming.webrtc_signaling import LOOK_S, crowded
from unblur.web.transport.access import is_still_authorized, require_role
from unblur.web.transport.errors import error_response
from unblur.web.transport.openapi import ROOT

_EVERY_S = 0.1
"""At least between two pictures of a camera: each is whole, and ten times what a video codec makes of it."""
_TAKEN_WITHIN_S = 15.0
"""A picture that is written; who takes nothing for so long is gone, or as good as gone."""
_BOUNDARY = "picture"
_HEADERS = {
    hdrs.CONTENT_TYPE: f"multipart/x-mixed-replace; boundary={_BOUNDARY}",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep pictures until its buffer is full
}


class Mjpeg:
    """The routes `/{camera}/mjpeg`, and `/api/v1/mjpeg?camera=...` for several in one answer, whose parts say in
    `X-Camera` of which they are. `feed` is the feed of a camera in one size; it raises KeyError for a camera that there
    is not. Each answer counts as one connection with `limiter`."""

    def __init__(self, feed: Callable[[str, Size], JpegBroadcast], limiter: ClientLimiter) -> None:
        self._feed, self._limiter = feed, limiter

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/{camera}/mjpeg", self._answer), web.get(f"{ROOT}/mjpeg", self._answer)]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        require_role(request, "viewer")
        try:
            feeds = {name: self._feed(name, size_of(request)) for name in _names(request)}
        except KeyError as error:
            return error_response(404, f"there is no camera {error.args[0]!r}")
        client = client_of(request) or f"answer {id(request)}"
        try:
            self._limiter.enter(client)
        except TooManyPeersError as error:
            return crowded(error)
        try:
            return await _send(request, feeds)
        finally:
            self._limiter.leave(client)


def _names(request: web.Request) -> set[str]:
    """The cameras that are asked for. Raises HTTPBadRequest if there are none."""
    names = (
        {request.match_info["camera"]} if "camera" in request.match_info else set(request.query.getall("camera", []))
    )
    if not names:
        raise web.HTTPBadRequest(text="say which: ?camera=NAME, once for each camera")
    return names


async def _send(request: web.Request, feeds: Mapping[str, JpegBroadcast]) -> web.StreamResponse:
    """Everything there is, until whoever asked is gone, or may see it no more, or the server ends."""
    response, waiting = web.StreamResponse(headers=_HEADERS), _Waiting()
    with ExitStack() as stack:
        tasks = [asyncio.create_task(_read(name, feed, waiting)) for name, feed in feeds.items()]
        tasks.append(asyncio.create_task(_watch_over(request, waiting)))
        for task in tasks:
            stack.callback(task.cancel)
        try:
            await response.prepare(request)
            while parts := await waiting.take():
                await asyncio.wait_for(response.write(b"".join(parts)), _TAKEN_WITHIN_S)
        except (ConnectionError, TimeoutError):
            if request.transport:
                request.transport.abort()  # nobody takes anything
    return response


class _Waiting:
    """The newest part of each camera that is yet to be sent."""

    def __init__(self) -> None:
        self._parts: dict[str, bytes] = {}
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, camera: str, part: bytes) -> None:
        self._parts[camera] = part
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def take(self) -> list[bytes]:
        """All that there are, as soon as there is one; empty at the end."""
        await self._changed.wait()
        if self._ended:
            return []
        self._changed.clear()
        parts, self._parts = list(self._parts.values()), {}
        return parts


async def _read(camera: str, feed: JpegBroadcast, waiting: _Waiting) -> None:
    feed.enter()
    try:
        number = 0
        while jpeg := await feed.newer(number):
            number = jpeg.number
            waiting.put(camera, _part(camera, jpeg))
            await asyncio.sleep(_EVERY_S)
        waiting.end()
    finally:
        feed.leave()


async def _watch_over(request: web.Request, waiting: _Waiting) -> None:
    """Whoever is signed out sees nothing any more."""
    while await is_still_authorized(request, "viewer"):
        await asyncio.sleep(LOOK_S)
    waiting.end()


def _part(camera: str, jpeg: Jpeg) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg.data)}\r\nX-Camera: {quote(camera)}"
    return head.encode() + b"\r\n\r\n" + jpeg.data + b"\r\n"
