"""Broadcast of a camera's newest frame as JPEG, encoded once for all clients."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

import cv2

from stream.webrtc.broadcast import BroadcastFrame, FrameBroadcast
from stream.webrtc.video_encoder import Size, fit

_QUALITY = 75
"""Of 100: 40 kB a picture at 640x360, 120 kB at 1280x720."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """An encoded image; `number` is that in the broadcast."""

    number: int
    data: bytes


class JpegBroadcast:
    """Encodes the newest image of a broadcast in one size. Clients call `enter` before and `leave` after they read. All
    methods run on one event loop; the encoding itself is done by `workers`."""

    def __init__(self, screen: FrameBroadcast, size: Size, workers: Executor) -> None:
        self._screen, self._size, self._workers = screen, size, workers
        self._newest: tuple[int, asyncio.Future[bytes]] | None = None

    def enter(self) -> None:
        """Count one more client."""
        self._screen.enter()

    def leave(self) -> None:
        """Count one client fewer."""
        self._screen.leave()

    async def newer(self, than: int) -> Jpeg | None:
        """Wait for an image with a number above `than`; None once the broadcast is closed."""
        shown = await self._screen.newer(than)
        if shown is None:
            return None
        if self._newest is None or self._newest[0] != shown.number:
            made = asyncio.get_running_loop().run_in_executor(self._workers, self._encode, shown)
            self._newest = shown.number, made
        number, encoding = self._newest
        return Jpeg(number, await asyncio.shield(encoding))  # a client that disconnects must not cancel it for others

    def _encode(self, shown: BroadcastFrame) -> bytes:
        quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        return cv2.imencode(".jpg", fit(shown.image, self._size), quality)[1].tobytes()
