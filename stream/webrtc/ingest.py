"""WebRTC ingest: frames that a browser, a phone or OBS sends."""

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
    """The connections of all senders, one for each camera: a second one replaces the first, because a reloaded page
    connects again before its old connection times out. All methods run on one event loop."""

    def __init__(self, guests: Mapping[str, PushSource]) -> None:
        self._guests = guests
        self.sessions = PeerManager("guest", Limits(clients=2 * len(guests)), self._examine, self._record_failure)
        self._receiving: set[asyncio.Task[None]] = set()
        self._sending: set[RTCPeerConnection] = set()

    async def join(self, camera: str, offer: str) -> tuple[str, str]:
        """Answer an offer (SDP) to send `camera` its pictures: the session's id, and the answer.

        Raises KeyError for a camera that takes no WebRTC sender, OfferError, TooManyPeersError.
        """
        receiver = self._guests[camera].receiver
        before = self.sessions.of(camera)

        def receive(connection: RTCPeerConnection) -> None:
            connection.addTransceiver("video", direction="recvonly")
            connection.on("track", lambda track: self._take(receiver, track, connection))

        session, answer = await self.sessions.answer(camera, offer, receive)
        for old in before:
            await self.sessions.leave(old)
        return session, answer

    def _take(self, receiver: FrameReceiver, track: MediaStreamTrack, connection: RTCPeerConnection) -> None:
        if track.kind == "video":
            task = asyncio.get_running_loop().create_task(self._receive_frames(receiver, track, connection))
            self._receiving.add(task)
            task.add_done_callback(self._receiving.discard)
            connection.on("signalingstatechange", lambda: connection.signalingState == "closed" and task.cancel())
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "audio":  # nothing reads it, and aiortc would buffer it all
                transceiver.direction = "inactive"

    async def _receive_frames(
        self, receiver: FrameReceiver, track: MediaStreamTrack, connection: RTCPeerConnection
    ) -> None:
        """Receive the frames of a track until it ends, or, because aiortc does not end a track without frames, until
        this is cancelled with its connection. Without frames no loss is recorded: the camera may have another sender
        now."""
        with suppress(MediaStreamError):
            picture: object = await track.recv()
            self._sending.add(connection)
            receiver.connected()
            try:
                while True:
                    if isinstance(picture, VideoFrame):
                        receiver.push(picture)
                    picture = await _next(receiver, track)
            finally:
                self._sending.discard(connection)
                receiver.record_loss("the guest left")

    async def _examine(self, connection: RTCPeerConnection) -> str | None:
        if connection in self._sending:
            return None
        if packets := await _received(connection):
            return f"no picture: of {packets} packets not one could be decoded; does the peer send key frames?"
        return "no picture: the connection stands, and the peer sends nothing over it"

    def _record_failure(self, failure: PeerFailure) -> None:
        """Record the failure in the camera's status, unless another peer sends frames."""
        receiver = self._guests[failure.camera].receiver
        if receiver.status().state not in ("live", "stalled"):
            receiver.record_loss(failure.problem)


async def _received(connection: RTCPeerConnection) -> int:
    """Number of received packets."""
    stats = await connection.getStats()
    return sum(each.packetsReceived for each in stats.values() if isinstance(each, RTCInboundRtpStreamStats))


async def _next(receiver: FrameReceiver, track: MediaStreamTrack) -> object:
    """The track's next picture, however long that takes."""
    while True:
        try:
            return await asyncio.wait_for(track.recv(), SILENT_S)
        except TimeoutError:
            receiver.record_loss(f"no picture for {SILENT_S:g} s")
