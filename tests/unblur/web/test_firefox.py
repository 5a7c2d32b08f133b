"""The Live page in Firefox, whose WebRTC is another than Chromium's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.schema import Web
from tests.unblur.notify.support.waiting import until
from tests.unblur.web.support.marionette import FIREFOX, Firefox
from tests.unblur.web.support.serving import opened
from tests.unblur.web.test_browser import CAMERAS, COLOURS, Film
from unblur.web.pages.live import LiveView

pytestmark = [pytest.mark.slow, pytest.mark.skipif(FIREFOX is None, reason="there is no firefox here")]
_STATES = "[...document.querySelectorAll('.camera')].map((tile) => tile.dataset.state)"
_WIDTHS = "[...document.querySelectorAll('.camera video')].map((video) => video.videoWidth)"


@pytest.fixture
def filmed() -> Iterator[LiveView]:
    served = opened(Web(port=0), CAMERAS)
    with Film(served):
        yield served
    served.close()


def test_every_camera_is_live(filmed: LiveView, tmp_path: Path) -> None:
    with Firefox(tmp_path) as firefox:
        firefox.open(filmed.address)
        until(lambda: firefox.evaluate(_STATES) == ["live"] * len(COLOURS))
        assert firefox.evaluate(_WIDTHS) == [320] * len(COLOURS)
        assert firefox.evaluate("document.getElementById('blocked').hidden")
