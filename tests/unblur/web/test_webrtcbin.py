"""Another WebRTC stack than a browser's: GStreamer's webrtcbin, whose certificate is RSA, watches and sends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from configs.schema import Web
from stream.sources.receiver import PushSource
from tests.stream.support.rtsp import PYTHON
from tests.unblur.notify.support.waiting import until
from tests.unblur.web.pages.test_live import CAMERA, filming
from tests.unblur.web.support.serving import opened
from unblur.web.pages.live import LiveView

SCRIPT = Path(__file__).with_name("support") / "webrtcbin_peer.py"
WITHIN_S = 60
_PROBE = """
import gi
gi.require_version("Gst", "1.0"); gi.require_version("GstSdp", "1.0"); gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC
Gst.init(None)
for name in ("webrtcbin", "nicesrc", "vp8enc", "x264enc", "avdec_h264", "vp8dec"):
    assert Gst.ElementFactory.find(name), name
"""


@pytest.fixture(scope="module", autouse=True)
def webrtcbin() -> None:
    """GStreamer with WebRTC."""
    try:
        probe = subprocess.run([PYTHON, "-c", _PROBE], capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no webrtcbin: {error}")
    if probe.returncode:
        pytest.skip(
            "no webrtcbin: apt-get install gstreamer1.0-nice gir1.2-gst-plugins-bad-1.0 (see .ci/debian-packages)"
        )


@contextmanager
def peer(kind: str, url: str, codec: str) -> Iterator[subprocess.Popen[str]]:
    command = [PYTHON, str(SCRIPT), kind, url, codec, str(WITHIN_S)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_it_watches(codec: str) -> None:
    with filming() as watching, peer("whep", f"{watching.address}/{quote(CAMERA)}/whep", codec) as viewer:
        assert viewer.wait(WITHIN_S) == 0


@pytest.fixture
def phone() -> Iterator[tuple[LiveView, PushSource]]:
    guest = PushSource("phone")
    served = opened(Web(port=0), [guest])
    yield served, guest
    served.close()
    guest.close()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_it_sends(codec: str, phone: tuple[LiveView, PushSource]) -> None:
    served, guest = phone
    with peer("whip", f"{served.address}/phone/whip", codec) as sender:
        until(lambda: guest.status().state == "live")
        frames = guest.frames()
        assert [next(frames).image.shape for _ in range(10)][-1] == (240, 320, 3)
        sender.communicate("end\n", WITHIN_S)
        assert sender.returncode == 0
