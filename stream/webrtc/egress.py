"""Cameras over WebRTC: each is encoded once for each size and codec, and sent to every viewer until it goes."""

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
"""Pages that one browser may have open, each with all cameras."""


class WhepEgress:
    """Everybody who watches. All methods run on one event loop."""

    def __init__(self, screens: Mapping[str, FrameBroadcast], codec: Codec = "vp8", most: int = 32) -> None:
        """`most` clients at once, each with every camera."""
        self._screens, self._codec = screens, codec
        self._encoders: dict[tuple[str, Codec, Size], SharedEncoder] = {}
        self._jpegs: dict[tuple[str, Size], JpegBroadcast] = {}
        self._workers = ThreadPoolExecutor(os.cpu_count(), "encoder")
        self.sessions = PeerManager("viewer", Limits(most, _PAGES * max(1, len(screens))), _examine)

    async def join(
        self, camera: str, offer: str, codec: Codec | None = None, size: Size = "full", client: str | None = None
    ) -> tuple[str, str]:
        """Answer an offer (SDP) to watch `camera`: the session's id, and the answer. Without a `client`, whoever asks
        is one of their own.

        Raises KeyError for a camera that there is not, OfferError, CrowdedError.
        """
        screen, track = self._screens[camera], _ViewerTrack()

        def show(connection: RTCPeerConnection) -> None:
            transceiver = connection.addTransceiver(track, direction="sendonly")
            transceiver.setCodecPreferences(_preferred(codec or self._codec))
            track.hear_requests_of(transceiver.sender)

        session, answer = await self.sessions.answer(camera, offer, show, client)
        chosen = _CODECS[negotiated_codec(answer)]
        fresh = SharedEncoder(screen, chosen, size, self._workers)
        track.encoder = self._encoders.setdefault((camera, chosen, size), fresh)
        return session, answer

    def jpegs(self, camera: str, size: Size) -> JpegBroadcast:
        """The camera as JPEG pictures. Raises KeyError for a camera that there is not."""
        fresh = JpegBroadcast(self._screens[camera], size, self._workers)
        return self._jpegs.setdefault((camera, size), fresh)

    @property
    def encoders(self) -> int:
        """How many encoders are at work."""
        return sum(each.subscribers > 0 for each in self._encoders.values())

    async def close(self) -> None:
        """See everybody off."""
        await self.sessions.close()
        self._workers.shutdown(wait=False)


class _ViewerTrack(MediaStreamTrack):
    """A camera as one viewer sees it, from the first picture it asks for: only who is connected asks, and only who
    asked is told to stop."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.encoder: SharedEncoder | None = None
        """Known once the offer is answered, and so before anything is asked for."""
        self._subscription: Subscription | None = None

    def hear_requests_of(self, sender: RTCRtpSender) -> None:
        """Pass on the viewer's requests for a key frame. aiortc tells its own encoder of them, and nobody else: packets
        that are encoded already have none there, so its note to itself is where they can be heard."""
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
    """A viewer who gets packets says so, about once a second (RFC 3550, 6.4.2). That there are none to send is the
    camera's affair."""
    stats = (await connection.getStats()).values()
    sent = sum(each.packetsSent for each in stats if isinstance(each, RTCOutboundRtpStreamStats))
    if not sent or any(isinstance(each, RTCRemoteInboundRtpStreamStats) for each in stats):
        return None
    return f"no picture: {sent} packets were sent, and the peer confirms none"


def _preferred(codec: Codec) -> list[RTCRtpCodecCapability]:
    """This one first, the others after it for whoever does not know it."""
    codecs = RTCRtpSender.getCapabilities("video").codecs
    return sorted(codecs, key=lambda each: each.mimeType.lower() != f"video/{codec}")
