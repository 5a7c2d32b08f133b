"""MJPEG streams of cameras (`multipart/x-mixed-replace`): for browsers and networks without WebRTC, and for programs
that show MJPEG."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from urllib.parse import quote

from aiohttp import hdrs, web

from stream.webrtc.client_limiter import ClientLimiter, TooManyPeersError
from stream.webrtc.jpeg_broadcast import Jpeg, JpegBroadcast
from stream.webrtc.video_encoder import Size
from unblur.web.streaming.viewer_clients import identify_client, requested_size
from unblur.web.streaming.webrtc_signaling import LOOK_S, too_many_clients
from unblur.web.transport.access import is_still_authorized, require_role
from unblur.web.transport.errors import error_response
from unblur.web.transport.openapi import ROOT

_EVERY_S = 0.1
"""Minimum interval between two images of a camera: JPEG takes ten times the data of a video codec."""
_WRITE_TIMEOUT_S = 15.0
"""Time limit for writing an image; a client that takes longer is disconnected."""
_BOUNDARY = "picture"
_HEADERS = {
    hdrs.CONTENT_TYPE: f"multipart/x-mixed-replace; boundary={_BOUNDARY}",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",  # nginx would otherwise delay images until its buffer is full
}


class Mjpeg:
    """The routes `/{camera}/mjpeg`, and `/api/v1/mjpeg?camera=...` for several in one response, whose parts name
    their camera in `X-Camera`. `feed` returns the broadcast of a camera in one size; it raises KeyError for an unknown
    camera. Each response counts as one connection with `limiter`."""

    def __init__(self, feed: Callable[[str, Size], JpegBroadcast], limiter: ClientLimiter) -> None:
        self._feed, self._limiter = feed, limiter

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/{camera}/mjpeg", self._stream), web.get(f"{ROOT}/mjpeg", self._stream)]

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        require_role(request, "viewer")
        try:
            feeds = {name: self._feed(name, requested_size(request)) for name in _requested_cameras(request)}
        except KeyError as error:
            return error_response(404, f"there is no camera {error.args[0]!r}")
        client = identify_client(request) or f"answer {id(request)}"
        try:
            self._limiter.enter(client)
        except TooManyPeersError as error:
            return too_many_clients(error)
        try:
            return await _send(request, feeds)
        finally:
            self._limiter.leave(client)


def _requested_cameras(request: web.Request) -> set[str]:
    """The requested cameras. Raises HTTPBadRequest if there are none."""
    names = (
        {request.match_info["camera"]} if "camera" in request.match_info else set(request.query.getall("camera", []))
    )
    if not names:
        raise web.HTTPBadRequest(text="say which: ?camera=NAME, once for each camera")
    return names


async def _send(request: web.Request, feeds: Mapping[str, JpegBroadcast]) -> web.StreamResponse:
    """Send the images of `feeds` until the client is gone, the user is signed out, or the server stops."""
    response, pending = web.StreamResponse(headers=_HEADERS), _PendingParts()
    with ExitStack() as stack:
        tasks = [asyncio.create_task(_read(name, feed, pending)) for name, feed in feeds.items()]
        tasks.append(asyncio.create_task(_end_when_unauthorized(request, pending)))
        for task in tasks:
            stack.callback(task.cancel)
        try:
            await response.prepare(request)
            while parts := await pending.take():
                await asyncio.wait_for(response.write(b"".join(parts)), _WRITE_TIMEOUT_S)
        except (ConnectionError, TimeoutError):
            if request.transport:
                request.transport.abort()  # the client does not read
    return response


class _PendingParts:
    """The newest unsent part of each camera."""

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
        """Wait for at least one part; returns all, empty at the end."""
        await self._changed.wait()
        if self._ended:
            return []
        self._changed.clear()
        parts, self._parts = list(self._parts.values()), {}
        return parts


async def _read(camera: str, feed: JpegBroadcast, pending: _PendingParts) -> None:
    feed.enter()
    try:
        number = 0
        while jpeg := await feed.newer(number):
            number = jpeg.number
            pending.put(camera, _encode_part(camera, jpeg))
            await asyncio.sleep(_EVERY_S)
        pending.end()
    finally:
        feed.leave()


async def _end_when_unauthorized(request: web.Request, pending: _PendingParts) -> None:
    """End the stream when the user is signed out."""
    while await is_still_authorized(request, "viewer"):
        await asyncio.sleep(LOOK_S)
    pending.end()


def _encode_part(camera: str, jpeg: Jpeg) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg.data)}\r\nX-Camera: {quote(camera)}"
    return head.encode() + b"\r\n\r\n" + jpeg.data + b"\r\n"
