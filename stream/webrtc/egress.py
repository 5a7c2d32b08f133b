"""WebRTC egress: cameras are encoded once per size and codec, and sent to all viewers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpSender
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.stats import RTCOutboundRtpStreamStats, RTCRemoteInboundRtpStreamStats
from av import Packet

from stream.webrtc.broadcast import FrameBroadcast
from stream.webrtc.client_limiter import Limits
from stream.webrtc.jpeg_broadcast import JpegBroadcast
from stream.webrtc.peers import PeerManager
from stream.webrtc.sdp import negotiated_codec
from stream.webrtc.shared_encoder import SharedEncoder, Subscription
from stream.webrtc.video_encoder import Codec, Size

_CODECS: Mapping[str, Codec] = {"vp8": "vp8", "h264": "h264"}
_PAGES = 4
"""Maximum number of open pages of one browser, each with all cameras."""


class WhepEgress:
    """The connections of all viewers. All methods run on one event loop."""

    def __init__(self, screens: Mapping[str, FrameBroadcast], codec: Codec = "vp8", most: int = 32) -> None:
        """`most` is the maximum number of clients, each with every camera."""
        self._screens, self._codec = screens, codec
        self._encoders: dict[tuple[str, Codec, Size], SharedEncoder] = {}
        self._jpegs: dict[tuple[str, Size], JpegBroadcast] = {}
        self._workers = ThreadPoolExecutor(os.cpu_count(), "encoder")
        self.sessions = PeerManager("viewer", Limits(most, _PAGES * max(1, len(screens))), _examine)

    async def join(
        self, camera: str, offer: str, codec: Codec | None = None, size: Size = "full", client: str | None = None
    ) -> tuple[str, str]:
        """Answer an offer (SDP) to watch `camera`: the session's id, and the answer. Without `client`, each
        call counts as another client.

        Raises KeyError for an unknown camera, OfferError, TooManyPeersError.
        """
        screen, track = self._screens[camera], _ViewerTrack()

        def show(connection: RTCPeerConnection) -> None:
            transceiver = connection.addTransceiver(track, direction="sendonly")
            transceiver.setCodecPreferences(_preferred(codec or self._codec))
            track.forward_key_frame_requests(transceiver.sender)

        session, answer = await self.sessions.answer(camera, offer, show, client)
        chosen = _CODECS[negotiated_codec(answer)]
        fresh = SharedEncoder(screen, chosen, size, self._workers)
        track.encoder = self._encoders.setdefault((camera, chosen, size), fresh)
        return session, answer

    def jpegs(self, camera: str, size: Size) -> JpegBroadcast:
        """The camera as JPEG images. Raises KeyError for an unknown camera."""
        fresh = JpegBroadcast(self._screens[camera], size, self._workers)
        return self._jpegs.setdefault((camera, size), fresh)

    @property
    def encoders(self) -> int:
        """Number of active encoders."""
        return sum(each.subscribers > 0 for each in self._encoders.values())

    async def close(self) -> None:
        """End all connections."""
        await self.sessions.close()
        self._workers.shutdown(wait=False)


class _ViewerTrack(MediaStreamTrack):
    """The media track of one viewer. It subscribes at the first request for a packet, which only a connected viewer
    makes, and unsubscribes only then."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.encoder: SharedEncoder | None = None
        """Set when the offer is answered, before the first `recv`."""
        self._subscription: Subscription | None = None

    def forward_key_frame_requests(self, sender: RTCRtpSender) -> None:
        """Forward the viewer's requests for key frames. aiortc passes them to its own encoder only, which is not used
        for encoded packets; so this replaces the method that handles them."""
        vars(sender).update(_send_keyframe=self._request_key_frame)

    async def recv(self) -> Packet[Any]:
        assert self.encoder
        if self._subscription is None:
            self._subscription = self.encoder.subscribe()
        picture = await self._subscription.next()
        if picture is None or self.readyState != "live":
            self.stop()
            raise MediaStreamError
        return picture.packet

    def stop(self) -> None:
        if self._subscription and self.encoder and self.readyState == "live":
            self.encoder.unsubscribe(self._subscription)
        super().stop()

    def _request_key_frame(self) -> None:
        if self.encoder:
            self.encoder.request_key_frame()


async def _examine(connection: RTCPeerConnection) -> str | None:
    """Return what is wrong with a connection; None if it is good. A viewer confirms packets about once a second (RFC
    3550, 6.4.2). Without sent packets, the camera is the reason, not the connection."""
    stats = (await connection.getStats()).values()
    sent = sum(each.packetsSent for each in stats if isinstance(each, RTCOutboundRtpStreamStats))
    if not sent or any(isinstance(each, RTCRemoteInboundRtpStreamStats) for each in stats):
        return None
    return f"no picture: {sent} packets were sent, and the peer confirms none"


def _preferred(codec: Codec) -> list[RTCRtpCodecCapability]:
    """The codecs with this one first; the others for viewers that do not support it."""
    codecs = RTCRtpSender.getCapabilities("video").codecs
    return sorted(codecs, key=lambda each: each.mimeType.lower() != f"video/{codec}")
