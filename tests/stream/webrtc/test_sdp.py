"""Offers that would cost more than they are worth."""

from __future__ import annotations

import pytest

from stream.webrtc.sdp import MOST_CANDIDATES, MOST_MEDIA, OfferError, require_bounded

HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
MEDIA = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"
CANDIDATE = "a=candidate:1 1 udp 2113937151 10.0.0.1 9 typ host\r\n"


@pytest.mark.parametrize(
    ("offer", "what"),
    [
        (HEAD + (MOST_MEDIA + 1) * MEDIA, "9 media descriptions"),
        (HEAD + MEDIA + (MOST_CANDIDATES + 1) * CANDIDATE, "65 candidates"),
        (HEAD + MEDIA + 2000 * "a=rtpmap:96 VP8/90000\r\n", "2006 lines"),
        (HEAD + "m=video 9 UDP/TLS/RTP/SAVPF" + 257 * " 96" + "\r\n", "257 payload types"),
    ],
)
def test_more_than_any_player_sends_is_refused(offer: str, what: str) -> None:
    with pytest.raises(OfferError, match=f"the offer has {what}, more than the"):
        require_bounded(offer)


def test_what_players_send_is_not() -> None:
    require_bounded(HEAD + 3 * (MEDIA + 10 * CANDIDATE + 150 * "a=rtcp-fb:96 nack\r\n"))
