"""The frame receiver: arriving images, and the wanted ones."""

from __future__ import annotations

import threading
from fractions import Fraction
from time import monotonic

import numpy as np
import pytest
from av import VideoFrame

from stream.media.frame_conversion import to_image
from stream.sources.receiver import FrameReceiver
from stream.values import Image

WITHIN_S = 20


def picture(number: int) -> VideoFrame:
    made = VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), "bgr24")
    made.pts, made.time_base = number * 3600, Fraction(1, 90_000)
    return made


def test_a_picture_that_is_not_wanted_is_not_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    converted = list[int]()

    def counted(each: VideoFrame, pixel_aspect: Fraction | None) -> Image:
        converted.append(each.pts or 0)
        return to_image(each, pixel_aspect)

    monkeypatch.setattr("stream.sources.receiver.to_image", counted)
    receiver, asked, taken = FrameReceiver("door", stalled_s=1.5), list[float](), threading.Semaphore(0)

    def wanted(pts_s: float) -> bool:
        asked.append(pts_s)
        taken.release()
        return len(asked) % 3 == 1

    def send() -> None:
        for number in range(9):
            receiver.push(picture(number))
            assert taken.acquire(timeout=WITHIN_S)
        receiver.close()

    sender = threading.Thread(target=send)
    began = monotonic()
    sender.start()
    frames = list(receiver.frames(wanted))
    sender.join()
    assert [frame.index for frame in frames] == [0, 3, 6]
    assert asked == [pytest.approx(number / 25) for number in range(9)]
    assert len(converted) == 3
    assert all(frame.arrived_s and began <= frame.arrived_s <= monotonic() for frame in frames)


def test_the_newest_frame_is_used_after_a_wait() -> None:
    receiver = FrameReceiver("door", stalled_s=1.5)

    def wanted(_pts_s: float) -> bool:
        for number in (1, 2):
            receiver.push(picture(number))
        receiver.close()
        return True

    receiver.push(picture(0))
    (frame,) = receiver.frames(wanted)
    assert (frame.index, int(frame.image[0, 0, 0])) == (2, 2)
    assert receiver.status().dropped == 2
