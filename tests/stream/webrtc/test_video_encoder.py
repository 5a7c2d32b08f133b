from __future__ import annotations

import cv2
import numpy as np
import pytest

from stream.values import Image
from stream.webrtc.broadcast import BroadcastFrame
from stream.webrtc.video_encoder import Codec, PictureEncoder, to_planes


def plain(grey: int, height: int = 48, width: int = 64) -> Image:
    return np.full((height, width, 3), grey, np.uint8)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (49, 65), (49, 64), (2, 3)])
def test_odd_sides_become_even(height: int, width: int) -> None:
    assert to_planes(plain(50, height, width), "full").shape == (height // 2 * 3, width // 2 * 2)


@pytest.mark.parametrize(
    ("shape", "fitted"),
    [((720, 1280), (360, 640)), ((480, 640), (360, 480)), ((1280, 720), (360, 202)), ((90, 160), (90, 160))],
)
def test_a_grid_makes_large_pictures_small(shape: tuple[int, int], fitted: tuple[int, int]) -> None:
    planes = to_planes(plain(50, *shape), "grid")
    assert (planes.shape[0] * 2 // 3, planes.shape[1]) == fitted
    assert cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420).mean() == pytest.approx(50, abs=2)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_key_frames_come_when_they_are_asked_for(codec: Codec) -> None:
    encoder = PictureEncoder(codec, "full")
    keys = []
    for number in range(20):
        (encoded,) = encoder.encode(BroadcastFrame(number, 0.0, plain(number * 10)), number * 3600, key=number == 12)
        assert encoded.packet.pts == number * 3600
        keys += [number] * encoded.is_key
    assert keys == [0, 12]


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_another_shape_begins_with_a_key_frame(codec: Codec) -> None:
    encoder = PictureEncoder(codec, "full")
    shapes = [(48, 64), (48, 64), (96, 64), (96, 64)]
    encoded = [
        encoder.encode(BroadcastFrame(n, 0.0, plain(9, *shape)), n * 3600, key=False) for n, shape in enumerate(shapes)
    ]
    assert [picture.is_key for (picture,) in encoded] == [True, False, True, False]
