"""Shared encoder: a camera is encoded once for all its viewers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import Executor

from stream.webrtc.broadcast import BroadcastFrame, FrameBroadcast
from stream.webrtc.video_encoder import CLOCK, Codec, EncodedPicture, PictureEncoder, Size

KEY_FRAMES_EVERY_S = 0.5
"""Shortest interval of key frames: each has about ten times the bytes of another frame, and a viewer that loses packets
requests them repeatedly."""
_GRID_EVERY_S = 0.045
"""Shortest interval of frames for a grid: cameras with 15 to 22 frames a second are shown at full rate, faster ones at
half their rate."""
_MOST_WAITING = 16
"""Longest queue of one viewer; a slower viewer continues at the next key frame."""


class Subscription:
    """Queue of the packets for one viewer. It starts, and continues after a gap, with a key frame."""

    def __init__(self, encoder: SharedEncoder) -> None:
        self._encoder = encoder
        self._waiting: deque[EncodedPicture] = deque()
        self._changed = asyncio.Event()
        self._needs_key, self._ended = True, False
        self.dropped = 0
        """Frames that were dropped because this viewer was too slow."""

    async def next(self) -> EncodedPicture | None:
        """Wait for the next frame; None at the end."""
        while not self._waiting:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()

    def put(self, picture: EncodedPicture) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._needs_key = True
            self._encoder.request_key_frame()
        if self._needs_key and not picture.is_key:
            return
        self._needs_key = False
        self._waiting.append(picture)
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()


class SharedEncoder:
    """Encodes a broadcast in one codec and one size, while it has subscriptions. All methods run on one event loop; the
    encoding itself is done by `workers`."""

    def __init__(self, screen: FrameBroadcast, codec: Codec, size: Size, workers: Executor) -> None:
        self._screen, self._codec, self._size, self._workers = screen, codec, size, workers
        self._subscriptions: set[Subscription] = set()
        self._task: asyncio.Task[None] | None = None
        self.key_wanted = True
        """Whether a requested key frame is pending."""
        self._key_s = -KEY_FRAMES_EVERY_S
        self._began_s = time.monotonic()
        self.encoded = 0
        """Number of encoded frames so far."""

    @property
    def subscribers(self) -> int:
        return len(self._subscriptions)

    def subscribe(self) -> Subscription:
        """Add a viewer; it gets frames from the next key frame on."""
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        self.request_key_frame()
        if self._task is None:
            self._screen.enter()
            self._task = asyncio.get_running_loop().create_task(self._run())
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a viewer; after the last one, encoding stops."""
        self._subscriptions.discard(subscription)
        if not self._subscriptions and self._task:
            self._task.cancel()
            self._task = None
            self._screen.leave()

    def request_key_frame(self) -> None:
        """Request a key frame, for a viewer that cannot decode (RFC 4585, 6.3.1)."""
        self.key_wanted = True

    async def _run(self) -> None:
        encoder, number, when_s = PictureEncoder(self._codec, self._size), 0, 0.0
        while shown := await self._screen.newer(number):
            number = shown.number
            if self._size == "grid" and shown.when_s - when_s < _GRID_EVERY_S:
                continue
            when_s = shown.when_s
            for picture in await self._encode(encoder, shown):
                self._send(picture)
        for subscription in self._subscriptions:
            subscription.end()

    async def _encode(self, encoder: PictureEncoder, shown: BroadcastFrame) -> list[EncodedPicture]:
        key = self.key_wanted and shown.when_s - self._key_s >= KEY_FRAMES_EVERY_S
        if key:
            self.key_wanted, self._key_s = False, shown.when_s
        pts = round((shown.when_s - self._began_s) * CLOCK)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, encoder.encode, shown, pts, key)

    def _send(self, picture: EncodedPicture) -> None:
        self.encoded += 1
        for subscription in self._subscriptions:
            subscription.put(picture)
