from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from stream.values import Image
from stream.webrtc.broadcast import BroadcastFrame, FrameBroadcast

WITHIN_S = 5


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs on a thread of its own, as the web server's does."""
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join()
    running.close()


def plain(grey: int, height: int = 48, width: int = 64) -> Image:
    return np.full((height, width, 3), grey, np.uint8)


def ask(loop: asyncio.AbstractEventLoop, screen: FrameBroadcast, than: int) -> BroadcastFrame | None:
    return asyncio.run_coroutine_threadsafe(screen.newer(than), loop).result(WITHIN_S)


def test_a_viewer_gets_the_newest_picture(loop: asyncio.AbstractEventLoop) -> None:
    screen = FrameBroadcast(loop)
    screen.enter()
    for grey in (10, 120, 250):
        screen.show(plain(grey))
    shown = ask(loop, screen, 0)
    assert shown is not None
    assert shown.number == 3
    assert shown.image.mean() == 250


def test_a_viewer_waits_for_a_picture_it_has_not_seen(loop: asyncio.AbstractEventLoop) -> None:
    screen = FrameBroadcast(loop)
    screen.enter()
    screen.show(plain(10))
    waiting = asyncio.run_coroutine_threadsafe(screen.newer(1), loop)
    with pytest.raises(TimeoutError):
        waiting.result(0.05)
    waiting = asyncio.run_coroutine_threadsafe(screen.newer(1), loop)
    screen.show(plain(20))
    shown = waiting.result(WITHIN_S)
    assert shown is not None
    assert shown.number == 2


def test_nothing_is_made_where_nobody_looks(loop: asyncio.AbstractEventLoop) -> None:
    screen = FrameBroadcast(loop)
    screen.show(plain(10))
    screen.enter()
    screen.show(plain(20))
    shown = ask(loop, screen, 0)
    assert shown is not None
    assert shown.number == 1


def test_a_late_viewer_does_not_begin_with_an_old_picture(loop: asyncio.AbstractEventLoop) -> None:
    screen = FrameBroadcast(loop)
    screen.enter()
    screen.show(plain(10))
    screen.leave()
    screen.enter()
    waiting = asyncio.run_coroutine_threadsafe(screen.newer(0), loop)
    screen.show(plain(20))
    shown = waiting.result(WITHIN_S)
    assert shown is not None
    assert shown.number == 2


def test_the_loop_is_told_once_however_many_pictures_wait(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen, calls, held = FrameBroadcast(loop), [], threading.Event()
    screen.enter()
    loop.call_soon_threadsafe(held.wait, WITHIN_S)  # a loop that is busy
    real = loop.call_soon_threadsafe

    def counted(*call: object) -> asyncio.Handle:
        calls.append(call)
        return real(*call)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    for grey in range(50):
        screen.show(plain(grey))
    assert len(calls) == 1
    held.set()
    shown = ask(loop, screen, 0)
    assert shown is not None
    assert shown.number == 50


def test_who_waits_is_told_of_the_end(loop: asyncio.AbstractEventLoop) -> None:
    screen = FrameBroadcast(loop)
    screen.enter()
    waiting = asyncio.run_coroutine_threadsafe(screen.newer(0), loop)
    screen.close()
    assert waiting.result(WITHIN_S) is None
    screen.show(plain(10))
    assert ask(loop, screen, 0) is None
