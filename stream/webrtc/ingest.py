"""Pictures that come over WebRTC: from a browser, a phone, or OBS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.stats import RTCInboundRtpStreamStats
from av import VideoFrame

from stream.sources.receiver import SILENT_S, FrameReceiver, PushSource
from stream.webrtc.client_limiter import Limits
from stream.webrtc.peers import PeerFailure, PeerManager


class WhipIngest:
    """Everybody who sends, one for each camera: a second takes the first one's place, since a page that is loaded anew
    comes back before its old connection is missed. All methods run on one event loop."""

    def __init__(self, guests: Mapping[str, PushSource]) -> None:
        self._guests = guests
        self.sessions = PeerManager("guest", Limits(clients=2 * len(guests)), self._examine, self._tell)
        self._following: set[asyncio.Task[None]] = set()
        self._sending: set[RTCPeerConnection] = set()

    async def join(self, camera: str, offer: str) -> tuple[str, str]:
        """Answer an offer (SDP) to send `camera` its pictures: the session's id, and the answer.

        Raises KeyError for a camera that is no guest's, OfferError, CrowdedError.
        """
        inflow = self._guests[camera].receiver
        before = self.sessions.of(camera)

        def receive(connection: RTCPeerConnection) -> None:
            connection.addTransceiver("video", direction="recvonly")
            connection.on("track", lambda track: self._take(inflow, track, connection))

        session, answer = await self.sessions.answer(camera, offer, receive)
        for old in before:
            await self.sessions.leave(old)
        return session, answer

    def _take(self, inflow: FrameReceiver, track: MediaStreamTrack, connection: RTCPeerConnection) -> None:
        if track.kind == "video":
            task = asyncio.get_running_loop().create_task(self._follow(inflow, track, connection))
            self._following.add(task)
            task.add_done_callback(self._following.discard)
            connection.on("signalingstatechange", lambda: connection.signalingState == "closed" and task.cancel())
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "audio":  # nobody would take it, and aiortc would keep it all
                transceiver.direction = "inactive"

    async def _follow(self, inflow: FrameReceiver, track: MediaStreamTrack, connection: RTCPeerConnection) -> None:
        """Take the pictures of a track until it ends, or, since aiortc ends no track that never began, until this is
        cancelled with its connection. Who never sent one has nothing to tell: the camera may be another's by now."""
        with suppress(MediaStreamError):
            picture: object = await track.recv()
            self._sending.add(connection)
            inflow.connected()
            try:
                while True:
                    if isinstance(picture, VideoFrame):
                        inflow.push(picture)
                    picture = await _next(inflow, track)
            finally:
                self._sending.discard(connection)
                inflow.record_loss("the guest left")

    async def _examine(self, connection: RTCPeerConnection) -> str | None:
        if connection in self._sending:
            return None
        if packets := await _received(connection):
            return f"no picture: of {packets} packets not one could be decoded; does the peer send key frames?"
        return "no picture: the connection stands, and the peer sends nothing over it"

    def _tell(self, failure: PeerFailure) -> None:
        """The camera says so, too, unless somebody else sends it pictures."""
        inflow = self._guests[failure.camera].receiver
        if inflow.status().state not in ("live", "stalled"):
            inflow.record_loss(failure.problem)


async def _received(connection: RTCPeerConnection) -> int:
    """Packets that came."""
    stats = await connection.getStats()
    return sum(each.packetsReceived for each in stats.values() if isinstance(each, RTCInboundRtpStreamStats))


async def _next(inflow: FrameReceiver, track: MediaStreamTrack) -> object:
    """The track's next picture, however long that takes."""
    while True:
        try:
            return await asyncio.wait_for(track.recv(), SILENT_S)
        except TimeoutError:
            inflow.record_loss(f"no picture for {SILENT_S:g} s")
