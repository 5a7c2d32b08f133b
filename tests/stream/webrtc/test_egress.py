"""Viewers are aiortc's own, over real sockets of this machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import get_capabilities
from aiortc.mediastreams import MediaStreamTrack
from av import VideoFrame

from stream.values import Image
from stream.webrtc import peers
from stream.webrtc.broadcast import FrameBroadcast
from stream.webrtc.client_limiter import TooManyPeersError
from stream.webrtc.egress import WhepEgress
from stream.webrtc.sdp import OfferError, without_local_names
from stream.webrtc.video_encoder import Codec, Size

WITHIN_S = 30
HEIGHT, WIDTH = 240, 320


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(what, WITHIN_S))


def picture(grey: int, shape: tuple[int, int]) -> Image:
    return np.full((*shape, 3), grey, np.uint8)


class Film:
    """A camera of 25 pictures a second, each darker or brighter than the last."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.screen, self._shape = FrameBroadcast(asyncio.get_running_loop()), shape
        self.shown = 0
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            self.screen.show(picture(self.grey(self.shown), self._shape))
            self.shown += 1
            await asyncio.sleep(1 / 25)

    @staticmethod
    def grey(number: int) -> int:
        return 40 + number % 160

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def lobby(most: int = 8, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> AsyncIterator[tuple[WhepEgress, Film]]:
    film = Film(shape)
    viewers = WhepEgress({"lobby": film.screen}, most=most)
    try:
        yield viewers, film
    finally:
        await viewers.close()
        await film.stop()


class Seeing:
    """A viewer, on pages of the browser `client`."""

    def __init__(self, codec: str | None = None) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = self.connection.addTransceiver("video", direction="recvonly")
        if codec:
            known = get_capabilities("video").codecs
            transceiver.setCodecPreferences([each for each in known if each.mimeType.lower() == f"video/{codec}"])
        self._track: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
        self.connection.on("track", self._track.set_result)
        self.session = ""

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def join(self, viewers: WhepEgress, client: str | None = None, size: Size = "full") -> None:
        self.session, answer = await viewers.join("lobby", await self.offer(), size=size, client=client)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def picture(self) -> VideoFrame:
        frame = await (await self._track).recv()
        assert isinstance(frame, VideoFrame)
        return frame


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)  # the test has a time limit


def test_a_viewer_sees_the_camera() -> None:
    async def test() -> None:
        async with lobby() as (viewers, film):
            viewer = Seeing()
            await viewer.join(viewers)
            frames = [await viewer.picture() for _ in range(10)]
            assert (frames[-1].width, frames[-1].height) == (WIDTH, HEIGHT)
            greys = [frame.to_ndarray(format="bgr24").mean() for frame in frames]
            assert all(later > earlier - 1 for earlier, later in pairwise(greys)), "but for the noise of encoding"
            assert film.grey(film.shown) - greys[-1] < 15  # of the last few pictures
            assert len(viewers.sessions) == len(viewers.sessions.of("lobby")) == 1
            await viewer.connection.close()

    run(test())


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_either_codec_is_sent_to_who_knows_no_other(codec: str) -> None:
    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing(codec)
            await viewer.join(viewers)
            assert codec in str(viewer.connection.remoteDescription.sdp).lower()
            assert (await viewer.picture()).width == WIDTH
            await viewer.connection.close()

    run(test())


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_viewers_of_one_size_share_an_encoder(codec: Codec) -> None:
    async def test() -> None:
        async with lobby() as (viewers, _):
            watching = [Seeing(codec) for _ in range(3)]
            await asyncio.gather(*(viewer.join(viewers) for viewer in watching))
            await asyncio.gather(*(viewer.picture() for viewer in watching))
            assert viewers.encoders == 1
            small = Seeing(codec)
            await small.join(viewers, size="grid")
            await small.picture()
            assert viewers.encoders == 2
            for viewer in (*watching, small):
                await viewers.sessions.leave(viewer.session)
                await viewer.connection.close()
            assert viewers.encoders == 0

    run(test())


def test_a_grid_gets_small_pictures_in_their_own_proportions() -> None:
    async def test() -> None:
        async with lobby(shape=(720, 960)) as (viewers, _):
            viewer = Seeing()
            await viewer.join(viewers, size="grid")
            frame = await viewer.picture()
            assert (frame.width, frame.height) == (480, 360)
            await viewer.connection.close()

    run(test())


def test_who_loses_the_thread_asks_for_a_key_frame() -> None:
    """An RTCP picture loss indication, as a decoder sends it that can make nothing of what comes."""

    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing()
            await viewer.join(viewers)
            await viewer.picture()
            (encoder,) = viewers._encoders.values()
            await until(lambda: not encoder.key_wanted)
            (receiver,) = viewer.connection.getReceivers()
            (source,) = receiver.getSynchronizationSources()
            await receiver._send_rtcp_pli(source.source)  # what aiortc's jitter buffer does after a loss
            await until(lambda: encoder.key_wanted)
            await until(lambda: not encoder.key_wanted)
            await viewer.connection.close()

    run(test())


def test_a_browser_counts_once_however_many_pictures_it_shows() -> None:
    async def test() -> None:
        async with lobby(most=1) as (viewers, _):
            tiles = [Seeing() for _ in range(3)]
            for tile in tiles:
                await tile.join(viewers, client="one browser")
            assert viewers.sessions.limiter.clients == 1
            with pytest.raises(TooManyPeersError, match="1 viewers are connected"):
                await viewers.join("lobby", await tiles[0].offer(), client="another browser")
            for tile in tiles:
                await viewers.sessions.leave(tile.session)
            last = Seeing()
            await last.join(viewers, client="another browser")
            for tile in (*tiles, last):
                await tile.connection.close()

    run(test())


def test_where_a_connection_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_CONNECTED_WITHIN_S", 0.2)

    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing()
            await viewers.join("lobby", await viewer.offer())
            await until(lambda: len(viewers.sessions) == 0)
            (failure,) = viewers.sessions.failures
            assert (failure.kind, failure.camera) == ("viewer", "lobby")
            assert failure.problem.startswith("ICE: ")
            await viewer.connection.close()

    run(test())


def test_a_handshake_that_fails_is_told() -> None:
    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer, other = Seeing(), Seeing()
            offer, others = await viewer.offer(), await other.offer()
            prints = [re.findall(r"a=fingerprint:(\S+) (\S+)", each) for each in (offer, others)]
            for (_, own), (_, foreign) in zip(*prints, strict=True):  # its certificate is not the one it announces
                offer = offer.replace(own, foreign)
            viewer.session, answer = await viewers.join("lobby", offer)
            await viewer.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await until(lambda: len(viewers.sessions.failures) == 1)
            assert viewers.sessions.failures[0].problem.startswith("DTLS: ")
            for connection in (viewer.connection, other.connection):
                await connection.close()

    run(test())


def test_who_confirms_nothing_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_PICTURE_WITHIN_S", 1.0)

    async def swallow(*_: object) -> None:
        """No report leaves this receiver."""

    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing()
            (receiver,) = viewer.connection.getReceivers()
            vars(receiver).update(_send_rtcp=swallow)
            await viewer.join(viewers)
            await until(lambda: len(viewers.sessions.failures) == 1)
            assert "the peer confirms none" in viewers.sessions.failures[0].problem
            assert viewer.session in viewers.sessions
            await viewer.connection.close()

    run(test())


def test_h264_on_request() -> None:
    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing()
            _, answer = await viewers.join("lobby", await viewer.offer(), "h264")
            kinds = [line for line in answer.splitlines() if line.startswith("a=rtpmap:")]
            assert "H264" in kinds[0]
            await viewer.connection.close()

    run(test())


def test_one_who_stops_looking_delays_nobody() -> None:
    async def test() -> None:
        async with lobby() as (viewers, film):
            looking, stopped = [Seeing() for _ in range(3)], Seeing()
            for viewer in (*looking, stopped):
                await viewer.join(viewers)
            await asyncio.gather(*(viewer.picture() for viewer in (*looking, stopped)))
            before = film.shown  # `stopped` asks for nothing from here on
            seen = [0, 0, 0]

            async def look(number: int) -> None:
                while film.shown < before + 50:
                    await looking[number].picture()
                    seen[number] += 1

            await asyncio.gather(*(look(number) for number in range(3)))
            assert min(seen) >= 40
            for viewer in (*looking, stopped):
                await viewer.connection.close()

    run(test())


def test_who_leaves_is_gone() -> None:
    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing()
            await viewer.join(viewers)
            await viewer.picture()
            assert await viewers.sessions.leave(viewer.session)
            assert not await viewers.sessions.leave(viewer.session)
            assert len(viewers.sessions) == 0
            await viewer.connection.close()

    run(test())


def test_who_hangs_up_is_seen_off() -> None:
    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing()
            await viewer.join(viewers)
            await viewer.picture()
            await viewer.connection.close()
            await until(lambda: len(viewers.sessions) == 0)

    run(test())


def test_who_never_connects_is_seen_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_CONNECTED_WITHIN_S", 0.2)

    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing()
            await viewers.join("lobby", await viewer.offer())
            assert len(viewers.sessions) == 1
            await until(lambda: len(viewers.sessions) == 0)
            await viewer.connection.close()

    run(test())


def test_an_offer_without_candidates_is_answered() -> None:
    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing()
            lines = [line for line in (await viewer.offer()).splitlines() if "candidate" not in line]
            viewer.session, answer = await viewers.join("lobby", "\r\n".join(lines) + "\r\n")
            await viewer.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            assert (await viewer.picture()).width == WIDTH
            await viewer.connection.close()

    run(test())


def test_candidates_may_come_later() -> None:
    async def test() -> None:
        async with lobby() as (viewers, _):
            viewer = Seeing()
            offer = await viewer.offer()
            bare = [line for line in offer.splitlines() if "candidate" not in line]
            viewer.session, answer = await viewers.join("lobby", "\r\n".join(bare) + "\r\n")
            later = [line for line in offer.splitlines() if line.startswith("a=candidate:")]
            later.append("a=candidate:1 1 udp 2113937151 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 10104 typ host")
            await viewers.sessions.add_candidates(viewer.session, "\r\n".join(later))
            await viewer.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            assert (await viewer.picture()).width == WIDTH
            with pytest.raises(OfferError, match="no candidate"):
                await viewers.sessions.add_candidates(viewer.session, "a=candidate:nonsense")
            with pytest.raises(KeyError):
                await viewers.sessions.add_candidates("nobody", "")
            await viewer.connection.close()

    run(test())


async def _refused(what: Awaitable[object], error: type[Exception]) -> None:
    with pytest.raises(error):
        await what


def test_what_cannot_be_answered_leaves_nothing_behind() -> None:
    async def test() -> None:
        async with lobby(most=1) as (viewers, film):
            silent = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            silent.createDataChannel("chat")
            await silent.setLocalDescription(await silent.createOffer())
            for offer in ("", "hello", "v=0\r\nm=video\r\n", silent.localDescription.sdp):
                await _refused(viewers.join("lobby", offer), OfferError)
            viewer = Seeing()
            await _refused(viewers.join("attic", await viewer.offer()), KeyError)
            assert len(viewers.sessions) == 0
            assert film.screen._viewers == 0
            await viewer.join(viewers)
            await _refused(viewers.join("lobby", await Seeing().offer()), TooManyPeersError)
            await silent.close()
            await viewer.connection.close()

    run(test())


def test_names_that_only_the_viewer_can_resolve_are_left_out() -> None:
    offer = "v=0\r\na=candidate:1 1 udp 1 abc.local 9 typ host\r\na=candidate:2 1 udp 1 10.0.0.1 9 typ host\r\n"
    assert without_local_names(offer) == "v=0\r\na=candidate:2 1 udp 1 10.0.0.1 9 typ host\r\n"
