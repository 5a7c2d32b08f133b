"""What flows is checked when it is made, and an event reads as the contract says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import numpy as np
import pytest

from stream.results import Event, Identity
from stream.values import Box, FaceCrop, FaceDetection, FaceQuality, Frame, Restoration

PICTURE = np.zeros((8, 8, 3), np.uint8)
UNNAMED = Identity(None, 0.123456, 0.4, None, 0.1, None, "none", 3.14159)


def test_an_event_has_rounded_numbers_and_utc() -> None:
    noon = datetime(2026, 5, 1, 12, 0, 0, 123456, timezone(timedelta(hours=2)))
    event = Event("1f", "new", "lobby", 7, UNNAMED, 1 / 3, 10, noon, (1, 2, 3, 4), 0.1)
    written = event.to_json()
    assert written["wall_time"] == "2026-05-01T10:00:00.123Z"
    assert (written["score"], written["blur"], written["pts_s"]) == (0.1235, 3.14, 0.333333)
    assert written["name"] is written["runner_up"] is written["restored_score"] is None


def test_media_time_is_pts_in_seconds() -> None:
    assert Frame("lobby", 0, 90, Fraction(1, 30), datetime.now(UTC), PICTURE).pts_s == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: Frame("lobby", 0, 0, Fraction(1, 30), None, PICTURE.astype(np.float32)),
        lambda: Frame("lobby", 0, 0, Fraction(1, 30), None, PICTURE[..., 0]),
        lambda: Frame("lobby", -1, 0, Fraction(1, 30), None, PICTURE),
        lambda: Frame("lobby", 0, 0, Fraction(1, 30), datetime(2026, 1, 1), PICTURE),
        lambda: Box(0, 0, 0, 1),
        lambda: FaceDetection(Box(0, 0, 1, 1), np.zeros((4, 2), np.float32), 0.5),
        lambda: FaceQuality(1.1, 0, 0),
        lambda: FaceCrop("lobby", 1, 0, 0, PICTURE[:4], np.eye(2, 3, dtype=np.float32), None, FaceQuality(1, 1, 1)),
        lambda: Restoration(a_crop(), PICTURE.copy(), "none", 0),
    ],
)
def test_what_makes_no_sense_cannot_be_made(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=r"\w"):
        make()


def a_crop() -> FaceCrop:
    return FaceCrop("lobby", 1, 0, 0.0, PICTURE, np.eye(2, 3, dtype=np.float32), (3.0, 4.0), FaceQuality(1, 1, 1))


def test_a_crop_knows_its_speed() -> None:
    assert a_crop().speed == 5
