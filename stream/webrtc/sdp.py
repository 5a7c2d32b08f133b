"""SDP offers of WebRTC peers: bounded, answered, and their candidates read."""

from __future__ import annotations

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.rtcicetransport import RTCIceCandidate
from aiortc.sdp import SessionDescription, candidate_from_sdp

MOST_MEDIA = 8
"""Media descriptions (m= lines) of an offer; a browser that watches sends one, with sound and data three. Each that is
not bundled costs sockets and 5 ms of the loop."""
MOST_CANDIDATES = 64
"""Candidates of a connection, in its offer and after it; a machine with ten addresses has some thirty. Each is tried
with every address of ours."""
_MOST_LINES = 1000
"""Lines of an offer; Firefox sends 100 for a picture, Chromium 170."""
_MOST_FORMATS = 256
"""Payload types that m= lines name, in all; there are 128 of them."""
_UNUSABLE = (ValueError, LookupError, AttributeError, TypeError, AssertionError, OperationError, InvalidStateError)
"""What aiortc raises, from wherever it is, for an SDP that makes no sense."""
_CANDIDATE = "a=candidate:"


class OfferError(ValueError):
    """An offer that cannot be answered: no SDP, too much of it, or none with the video that is wanted."""


async def answer_offer(connection: RTCPeerConnection, offer: str) -> str:
    """The answer to an offer (SDP), with all of our candidates. Raises OfferError."""
    require_bounded(offer)
    try:
        await connection.setRemoteDescription(RTCSessionDescription(without_local_names(offer), "offer"))
        if not any(each.kind == "video" and each.mid is not None for each in connection.getTransceivers()):
            raise OfferError("there is no video in the offer")
        answer = await connection.createAnswer()
        await connection.setLocalDescription(RTCSessionDescription(_let_peer_begin(answer.sdp, offer), "answer"))
    except OfferError:
        raise
    except _UNUSABLE as error:
        raise OfferError(f"the offer cannot be answered: {error}") from error
    return connection.localDescription.sdp


def require_bounded(offer: str) -> None:
    """Raises OfferError for an offer that would cost more work than a player's ever does."""
    lines = offer.splitlines()
    media = [line for line in lines if line.startswith("m=")]
    counts = {
        "media descriptions": (len(media), MOST_MEDIA),
        "candidates": (sum(line.startswith(_CANDIDATE) for line in lines), MOST_CANDIDATES),
        "payload types": (sum(len(line.split()) - 3 for line in media), _MOST_FORMATS),
        "lines": (len(lines), _MOST_LINES),
    }
    for what, (count, most) in counts.items():
        if count > most:
            raise OfferError(f"the offer has {count} {what}, more than the {most} that are answered")


def negotiated_codec(answer: str) -> str:
    """The video codec that an answer of ours (SDP) settles on, in small letters."""
    video = next(each for each in SessionDescription.parse(answer).media if each.kind == "video")
    return video.rtp.codecs[0].name.lower()


def read_candidates(fragment: str) -> list[RTCIceCandidate]:
    """The candidates of an SDP fragment (RFC 8840), without those that only the peer's network can resolve. Raises
    OfferError if one makes no sense."""
    lines = [line.strip() for line in fragment.splitlines()]
    return [_candidate(line) for line in lines if line.startswith(_CANDIDATE) and ".local " not in line]


def count_candidates(sdp: str) -> int:
    """How many candidates an offer or a fragment has."""
    return sum(line.strip().startswith(_CANDIDATE) for line in sdp.splitlines())


def without_local_names(offer: str) -> str:
    """The offer without candidates that only the other side's network can resolve: looking them up takes long, and
    the other side calls us anyway."""
    lines = offer.splitlines()
    return "".join(f"{line}\r\n" for line in lines if not (line.startswith(_CANDIDATE) and ".local " in line))


def _let_peer_begin(answer: str, offer: str) -> str:
    """The answer in which the peer begins the DTLS handshake (RFC 8842, 5.3) wherever the offer leaves that to us.

    aiortc would begin it (`active`), and offers cipher suites for ECDSA certificates alone: a peer that holds an RSA
    certificate, as GStreamer's webrtcbin and ZLMediaKit do, then finds none (aiortc issues 1392, 1421, 1434). The
    other way round the suite goes by our certificate, and theirs may be of any kind.
    """
    return answer if "a=setup:passive" in offer else answer.replace("a=setup:active", "a=setup:passive")


def _candidate(line: str) -> RTCIceCandidate:
    try:
        candidate = candidate_from_sdp(line.removeprefix(_CANDIDATE))
    except (ValueError, IndexError, AssertionError) as error:
        raise OfferError(f"no candidate: {line[:80]!r}") from error
    candidate.sdpMLineIndex = 0
    return candidate
