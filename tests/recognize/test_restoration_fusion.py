"""The fusion rule in isolation; its costs and gains are measured by benchmarks/restoration_fusion.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognize.restoration_fusion import (
    CAUTION,
    CONTRADICTION,
    EVEN,
    fuse,
    not_contradicted_by_raw,
    still_threshold_offset,
)
from stream.values import Array

blurs = st.floats(0, 100)


def embeddings(seed: int, count: int = 4) -> Array:
    drawn = np.random.default_rng(seed).standard_normal((count, 128)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


@settings(deadline=None)
@given(st.integers(0, 99), blurs)
def test_an_unrestored_crop_keeps_its_embedding(seed: int, blur: float) -> None:
    (raw,) = embeddings(seed, 1)
    assert fuse(raw, raw, blur) == pytest.approx(raw, abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 99), st.lists(blurs, min_size=4, max_size=4))
def test_a_batch_is_fused_like_single_embeddings_of_length_one(seed: int, blur: list[float]) -> None:
    raw, restored = embeddings(seed), embeddings(seed + 100)
    together = fuse(raw, restored, blur)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    for one, *alone in zip(together, raw, restored, blur, strict=True):
        assert one == pytest.approx(fuse(*alone), abs=1e-6)


def test_the_more_blur_the_more_the_restored_crop_counts() -> None:
    raw, restored = embeddings(0, 2)
    alike = [float(fuse(raw, restored, blur) @ restored) for blur in (0, 3, EVEN, 30, 60)]
    assert alike == sorted(alike)
    assert fuse(raw, restored, 0) == pytest.approx(raw, abs=1e-6)
    half = fuse(raw, restored, EVEN)
    assert half @ raw == pytest.approx(half @ restored, abs=1e-5)


def test_the_more_the_restored_crop_counts_the_more_similar_it_has_to_be() -> None:
    asked = still_threshold_offset([0, 3, EVEN, 30, 1000]).tolist()
    assert asked == sorted(asked)
    assert asked[0] == 0
    assert asked[2] == pytest.approx(CAUTION / 2)
    assert asked[-1] == pytest.approx(CAUTION, rel=1e-3)


def test_a_person_that_the_raw_crop_contradicts_is_not_confirmed() -> None:
    scores = np.array([[0.6, 0.1], [0.6, 0.1], [0.1, 0.6]], np.float32)
    raw = np.array([[0.2, 0.2 + CONTRADICTION + 0.01], [0.2, 0.2 + CONTRADICTION - 0.01], [0.3, 0.1]], np.float32)
    assert not_contradicted_by_raw(scores, raw).tolist() == [False, True, False]
    assert [bool(not_contradicted_by_raw(*row)) for row in zip(scores, raw, strict=True)] == [False, True, False]
