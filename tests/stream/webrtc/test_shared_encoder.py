from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from stream.webrtc.broadcast import FrameBroadcast
from stream.webrtc.shared_encoder import KEY_FRAMES_EVERY_S, SharedEncoder

WITHIN_S = 30


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(what, WITHIN_S))


def of(screen: FrameBroadcast) -> SharedEncoder:
    return SharedEncoder(screen, "vp8", "full", ThreadPoolExecutor(1))


async def show(screen: FrameBroadcast, encoder: SharedEncoder) -> None:
    """A picture, until it is encoded."""
    before = encoder.encoded
    screen.show(np.full((48, 64, 3), before % 200, np.uint8))
    while encoder.encoded == before:
        await asyncio.sleep(0.001)


def test_every_subscriber_begins_with_a_key_frame() -> None:
    async def test() -> None:
        screen = FrameBroadcast(asyncio.get_running_loop())
        encoder = of(screen)
        first = encoder.subscribe()
        await show(screen, encoder)
        await show(screen, encoder)
        begun = await first.next(), await first.next()
        assert [each.is_key for each in begun if each] == [True, False]
        second = encoder.subscribe()
        waiting = asyncio.create_task(second.next())
        while not waiting.done():  # the one before was less than KEY_FRAMES_EVERY_S ago
            await show(screen, encoder)
        picture = await waiting
        assert picture
        assert picture.is_key

    run(test())


def test_requests_are_answered_once_in_a_while() -> None:
    async def test() -> None:
        screen = FrameBroadcast(asyncio.get_running_loop())
        encoder = of(screen)
        subscription = encoder.subscribe()
        loop, keys, began_s = asyncio.get_running_loop(), 0, asyncio.get_running_loop().time()
        for _ in range(100):
            encoder.request_key_frame()
            await show(screen, encoder)
            picture = await subscription.next()
            assert picture
            keys += picture.is_key
        assert 1 <= keys <= 2 + (loop.time() - began_s) / KEY_FRAMES_EVERY_S

    run(test())


def test_who_is_too_slow_loses_pictures_and_goes_on_with_a_key_frame() -> None:
    async def test() -> None:
        screen = FrameBroadcast(asyncio.get_running_loop())
        encoder = of(screen)
        subscription = encoder.subscribe()
        while not subscription.dropped:
            await show(screen, encoder)
        assert subscription.dropped == 16
        await asyncio.sleep(KEY_FRAMES_EVERY_S)  # that there may be one
        await show(screen, encoder)
        picture = await subscription.next()
        assert picture
        assert picture.is_key

    run(test())


def test_nothing_is_encoded_where_nobody_watches() -> None:
    async def test() -> None:
        screen = FrameBroadcast(asyncio.get_running_loop())
        encoder = of(screen)
        first, second = encoder.subscribe(), encoder.subscribe()
        await show(screen, encoder)
        encoder.unsubscribe(first)
        await show(screen, encoder)
        encoder.unsubscribe(second)
        assert screen._viewers == 0
        assert encoder.subscribers == 0

    run(test())


def test_the_end_of_a_screen_is_told() -> None:
    async def test() -> None:
        screen = FrameBroadcast(asyncio.get_running_loop())
        subscription = of(screen).subscribe()
        screen.close()
        assert await subscription.next() is None

    run(test())
