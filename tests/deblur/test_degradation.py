"""Degradation keeps size, brightness and position, and grows with its parameter."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deblur import degradation
from stream.values import Image

pictures = arrays(np.uint8, st.tuples(st.integers(1, 70), st.integers(1, 70), st.just(3)))
STEPS: dict[str, Callable[[Image], Image]] = {
    "low": partial(degradation.downsample, factor=4),
    "jpeg": partial(degradation.jpeg, quality=60),
    "h264": partial(degradation.h264, crf=30),
}
SEVERITIES: dict[str, list[Callable[[Image], Image]]] = {
    "low": [partial(degradation.downsample, factor=factor) for factor in (1, 1.5, 2, 4, 8)],
    "jpeg": [partial(degradation.jpeg, quality=quality) for quality in (100, 90, 60, 30, 10)],
    "h264": [partial(degradation.h264, crf=crf) for crf in (0, 18, 24, 30, 40)],
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@given(picture=pictures)
def test_any_picture_keeps_its_size_and_is_not_written_on(step: Callable[[Image], Image], picture: Image) -> None:
    before = picture.copy()
    once, again = step(picture), step(picture)
    assert once.shape == picture.shape
    assert once.dtype == np.uint8
    assert (picture == before).all()
    assert (once == again).all(), "the same picture gives the same"


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@given(color=st.tuples(*3 * [st.integers(16, 239)]), height=st.integers(16, 70), width=st.integers(16, 70))
def test_even_colour_stays(
    step: Callable[[Image], Image], color: tuple[int, int, int], height: int, width: int
) -> None:
    picture = np.full((height, width, 3), color, np.uint8)
    gray = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean() for image in (picture, step(picture))]
    assert abs(gray[0] - gray[1]) < 3


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_face_is_neither_moved_nor_lit(step: Callable[[Image], Image], face: Image) -> None:
    after = step(face)
    assert np.abs(after.mean((0, 1)) - face.mean((0, 1))).max() < 1
    shift, _ = cv2.phaseCorrelate(*(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(float) for image in (face, after)))
    assert np.hypot(shift[0], shift[1]) < 0.1


@pytest.mark.parametrize("steps", SEVERITIES.values(), ids=SEVERITIES)
def test_more_takes_more(steps: list[Callable[[Image], Image]], face: Image) -> None:
    kept = [cv2.PSNR(face, step(face)) for step in steps]
    assert kept == sorted(kept, reverse=True)
    assert len(set(kept)) == len(kept)


def test_full_resolution_is_unchanged(face: Image) -> None:
    assert (degradation.downsample(face, 1) == face).all()


@pytest.mark.parametrize(
    "call",
    [
        partial(degradation.downsample, factor=0.5),
        partial(degradation.jpeg, quality=0),
        partial(degradation.jpeg, quality=101),
        partial(degradation.h264, crf=-1),
        partial(degradation.h264, crf=52),
    ],
)
def test_nonsense_is_refused(call: Callable[[Image], Image], face: Image) -> None:
    with pytest.raises(ValueError, match="not"):
        call(face)
