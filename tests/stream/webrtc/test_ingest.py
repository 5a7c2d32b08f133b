"""Guests are aiortc's own, over real sockets of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from av import VideoFrame

from stream.sources.receiver import PushSource
from stream.values import Frame
from stream.webrtc import peers
from stream.webrtc.ingest import WhipIngest
from stream.webrtc.sdp import OfferError

WITHIN_S = 30


class Film(MediaStreamTrack):
    """25 pictures a second of one grey."""

    kind = "video"

    def __init__(self, grey: int) -> None:
        super().__init__()
        self._picture = np.full((120, 160, 3), grey, np.uint8)
        self._count = 0

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(1 / 25)
        frame = VideoFrame.from_ndarray(self._picture, "bgr24")
        frame.pts, frame.time_base = self._count * 3600, Fraction(1, 90_000)
        self._count += 1
        return frame


async def send(guests: WhipIngest, grey: int) -> tuple[str, RTCPeerConnection]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(Film(grey))
    connection.addTrack(AudioStreamTrack())
    await connection.setLocalDescription(await connection.createOffer())
    session, answer = await guests.join("phone", connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return session, connection


async def next_frame(frames: Iterator[Frame], true: Callable[[Frame], bool] = lambda _: True) -> Frame:
    while not true(frame := await asyncio.to_thread(next, frames)):
        pass
    return frame


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(what, WITHIN_S))


def grey(frame: Frame) -> float:
    return float(frame.image.mean())


def test_what_a_guest_sends_are_frames() -> None:
    async def test() -> None:
        guest = PushSource("phone")
        guests = WhipIngest({"phone": guest})
        assert guest.status().state == "connecting"
        _, connection = await send(guests, 90)
        frames = guest.frames()
        seen = [await next_frame(frames) for _ in range(5)]
        assert grey(seen[-1]) == pytest.approx(90, abs=3)
        assert seen[-1].image.shape == (120, 160, 3)
        assert seen[0].pts < seen[-1].pts
        assert seen[-1].wall_time is not None
        assert guest.status().state == "live"
        assert "m=audio" in connection.remoteDescription.sdp
        assert "a=inactive" in connection.remoteDescription.sdp.split("m=audio")[1].split("m=")[0]
        await connection.close()
        await guests.sessions.close()
        guest.close()

    run(test())


def test_a_guest_that_leaves_may_come_back() -> None:
    async def test() -> None:
        guest = PushSource("phone")
        guests, frames = WhipIngest({"phone": guest}), guest.frames()
        session, connection = await send(guests, 60)
        first = await next_frame(frames)
        await guests.sessions.leave(session)
        await connection.close()
        while guest.status().state != "reconnecting":
            await asyncio.sleep(0.01)  # the test has a time limit
        _, connection = await send(guests, 200)
        second = await next_frame(frames, lambda frame: grey(frame) > 150)
        assert second.pts > first.pts
        assert guest.status().reconnects == 1
        await connection.close()
        await guests.sessions.close()
        guest.close()

    run(test())


def test_a_second_guest_takes_the_place_of_the_first() -> None:
    async def test() -> None:
        guest = PushSource("phone")
        guests, frames = WhipIngest({"phone": guest}), guest.frames()
        _, before = await send(guests, 60)
        await next_frame(frames)
        _, after = await send(guests, 200)
        await next_frame(frames, lambda frame: grey(frame) > 150)
        assert len(guests.sessions) == 1
        for connection in (before, after):
            await connection.close()
        await guests.sessions.close()
        guest.close()

    run(test())


async def offer() -> str:
    """From a peer that ignores the answer."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(Film(0))
    await connection.setLocalDescription(await connection.createOffer())
    sdp = str(connection.localDescription.sdp)
    await connection.close()
    return sdp


class Silent(Film):
    """A camera with its cap on."""

    async def recv(self) -> VideoFrame:
        await asyncio.Event().wait()
        raise AssertionError


def test_a_guest_who_sends_nothing_is_told_of_and_so_is_its_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_PICTURE_WITHIN_S", 0.2)

    async def test() -> None:
        guest = PushSource("phone")
        guests = WhipIngest({"phone": guest})
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTrack(Silent(0))
        await connection.setLocalDescription(await connection.createOffer())
        _, answer = await guests.join("phone", connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        while not guests.sessions.failures:
            await asyncio.sleep(0.01)  # the test has a time limit
        assert guests.sessions.failures[0].problem.startswith("no picture: ")
        assert guest.status().last_error == guests.sessions.failures[0].problem
        await connection.close()
        await guests.sessions.close()

    run(test())


def test_a_guest_that_cannot_connect_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_CONNECTED_WITHIN_S", 0.1)

    async def test() -> None:
        guest = PushSource("phone")
        guests = WhipIngest({"phone": guest})
        await guests.join("phone", await offer())
        while not guests.sessions.failures:
            await asyncio.sleep(0.01)  # the test has a time limit
        assert str(guest.status().last_error).startswith("ICE: ")
        assert guest.status().state == "connecting"
        await guests.sessions.close()

    run(test())


def test_nobody_waits_for_guests_who_never_connected() -> None:
    async def test() -> None:
        guests = WhipIngest({"phone": PushSource("phone")})
        for _ in range(3):
            await guests.join("phone", await offer())
        following = set(guests._receiving)
        await guests.sessions.close()
        await asyncio.gather(*following, return_exceptions=True)
        assert not guests._receiving

    run(test())


def test_guests_who_never_connected_say_nothing_of_the_one_who_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.webrtc.ingest.SILENT_S", 0.5)

    async def test() -> None:
        guest = PushSource("phone")
        guests, frames = WhipIngest({"phone": guest}), guest.frames()
        for _ in range(3):
            await guests.join("phone", await offer())
        _, connection = await send(guests, 90)
        for _ in range(30):  # longer than they would be waited for
            await next_frame(frames)
        assert guest.status().reconnects == 0
        assert guest.status().last_error is None
        await connection.close()
        await guests.sessions.close()
        guest.close()

    run(test())


def test_only_guests_cameras_take_pictures() -> None:
    async def test() -> None:
        guests = WhipIngest({"phone": PushSource("phone")})
        with pytest.raises(KeyError):
            await guests.join("lobby", "v=0")
        with pytest.raises(OfferError):
            await guests.join("phone", "v=0")
        assert len(guests.sessions) == 0

    run(test())
