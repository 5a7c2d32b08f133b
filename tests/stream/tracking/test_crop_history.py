from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stream.tracking.analyzer import NEIGHBORS, CropHistory
from stream.values import FaceCrop, FaceQuality


def _crop(track: int, level: int) -> FaceCrop:
    image = np.full((128, 128, 3), level, np.uint8)
    return FaceCrop(
        "lobby", track, level, level / 25, image, np.eye(2, 3, dtype=np.float32), None, FaceQuality(1, 1, 1)
    )


def test_a_crop_gets_the_previous_crops_of_its_track() -> None:
    history = CropHistory()
    neighbors = [
        [int(other.image[0, 0, 0]) for other in history.attach_neighbors(_crop(1, level)).neighbors]
        for level in (10, 20, 30, 40)
    ]
    assert neighbors == [[], [10], [20, 10], [30, 20]]
    assert len(neighbors[-1]) == NEIGHBORS


def test_tracks_are_separate_and_are_forgotten() -> None:
    history = CropHistory()
    history.attach_neighbors(_crop(1, 10))
    assert history.attach_neighbors(_crop(2, 20)).neighbors == ()
    history.forget(1)
    assert history.attach_neighbors(_crop(1, 30)).neighbors == ()
    history.forget(7)


def test_neighbors_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        replace(_crop(1, 10), neighbors=(replace(_crop(1, 20), image=np.zeros((64, 64, 3), np.uint8)),))
