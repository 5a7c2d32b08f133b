"""One encode of a camera, however many viewers it has."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import Executor

from stream.webrtc.broadcast import BroadcastFrame, FrameBroadcast
from stream.webrtc.video_encoder import CLOCK, Codec, EncodedPicture, PictureEncoder, Size

KEY_FRAMES_EVERY_S = 0.5
"""At most: each costs some ten times another picture's bytes, and a viewer who loses packets asks again and again."""
_GRID_EVERY_S = 0.045
"""At least between two pictures for a grid: cameras of 15 to 22 pictures a second are shown whole, faster ones at half
their rate."""
_MOST_WAITING = 16
"""Pictures of one viewer; one that is as slow as that goes on with the next key frame."""


class Subscription:
    """What one viewer has yet to be sent. It begins, and goes on after a gap, with a key frame."""

    def __init__(self, encoder: SharedEncoder) -> None:
        self._encoder = encoder
        self._waiting: deque[EncodedPicture] = deque()
        self._changed = asyncio.Event()
        self._needs_key, self._ended = True, False
        self.dropped = 0
        """Pictures that were encoded while this viewer was too slow for them."""

    async def next(self) -> EncodedPicture | None:
        """The next picture; None if there will be no more."""
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
    """A screen in one codec and one size. It works while somebody subscribes. All methods run on one event loop; the
    encoding itself is done by `workers`."""

    def __init__(self, screen: FrameBroadcast, codec: Codec, size: Size, workers: Executor) -> None:
        self._screen, self._codec, self._size, self._workers = screen, codec, size, workers
        self._subscriptions: set[Subscription] = set()
        self._task: asyncio.Task[None] | None = None
        self.key_wanted = True
        """Whether a key frame was asked for that has not come yet."""
        self._key_s = -KEY_FRAMES_EVERY_S
        self._began_s = time.monotonic()
        self.encoded = 0
        """Pictures, since the beginning."""

    @property
    def subscribers(self) -> int:
        return len(self._subscriptions)

    def subscribe(self) -> Subscription:
        """From the next picture on, which will be a key frame as soon as there may be one."""
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        self.request_key_frame()
        if self._task is None:
            self._screen.enter()
            self._task = asyncio.get_running_loop().create_task(self._run())
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """The last one takes the encoder along."""
        self._subscriptions.discard(subscription)
        if not self._subscriptions and self._task:
            self._task.cancel()
            self._task = None
            self._screen.leave()

    def request_key_frame(self) -> None:
        """A viewer cannot decode what comes (RFC 4585, 6.3.1)."""
        self.key_wanted = True

    async def _run(self) -> None:
        encoder, seen, when_s = PictureEncoder(self._codec, self._size), 0, 0.0
        while shown := await self._screen.newer(seen):
            seen = shown.number
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
