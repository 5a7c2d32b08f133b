from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur.train.augmentation import CANVAS, SIDE, Photo, augment


def _dot() -> Photo:
    """A photo with one bright square in the middle of its aligned crop."""
    image = np.zeros((160, 160, 3), np.uint8)
    image[76:84, 76:84] = 255
    return Photo(image, np.array([[1, 0, -16], [0, 1, -16]], np.float32), np.zeros(4, np.float32))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_upright_leads_from_the_sample_to_the_aligned_crop(seed: int) -> None:
    view = augment(_dot(), np.random.default_rng(seed))
    margin = (CANVAS - SIDE) / 2
    gray = view.canvas.mean(2)
    bright = gray > (gray.max() + gray.min()) / 2
    y, x = (places.mean() - margin for places in np.nonzero(bright))
    np.testing.assert_allclose(view.upright @ (x, y, 1), (63.5, 63.5), atol=1.5)


def test_a_view_is_a_canvas_of_bytes(photos: list[Photo]) -> None:
    view = augment(photos[0], np.random.default_rng(0))
    assert view.canvas.shape == (CANVAS, CANVAS, 3)
    assert view.canvas.dtype == np.uint8
