"""Weights of restored against raw embeddings: one rule for the program and its evaluation.

Restoration makes people recognizable whom the raw crop does not show, but also invents. So both crops count, after
"Effective Adapter for Face Recognition in the Wild" (Liu et al., arXiv 2312.01734): the more blurred the raw one, the
more the restored one counts, and the higher the threshold; and a name that the raw one clearly contradicts is not
given. Chosen on `val` by `benchmarks/restoration_fusion.py` (docs/design/deblurring.md, "The rule").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.values import Array

EVEN = 10.0
"""Blur, in crop pixels, at which a restored crop counts as much as the raw one; the share grows with its square."""
CAUTION = 0.04
"""Threshold offset of a still image for a restored crop of full weight: there is no second sample to confirm it."""
RELIEF = 0.03
"""Limit of the threshold reduction of a track for a raw crop, as its blur grows."""
CONTRADICTION = 0.15
"""A person whose raw score is this much below the best raw score is not named."""


def restored_weight(blur: ArrayLike) -> Array:
    """Return the weight of restored crops (0..1) by the blur extents of the raw crops in pixels."""
    squared = np.square(np.asarray(blur, np.float32))
    return np.asarray(squared / (squared + np.float32(EVEN) ** 2))


def still_threshold_offset(blur: ArrayLike) -> Array:
    """Return the threshold offset of a still image for restored crops: restoration makes non-mated faces more similar,
    too."""
    return np.asarray(np.float32(CAUTION) * restored_weight(blur))


def blur_threshold_offset(blur: ArrayLike) -> Array:
    """Return the threshold reduction of a track for unrestored crops: the more blurred, the less similar non-mated
    faces are. Of restored ones, as many reach a threshold as of sharp ones (`benchmarks/threshold.py`)."""
    return np.asarray(np.float32(RELIEF) * restored_weight(blur))


def fuse(raw: Array, restored: Array, blur: ArrayLike) -> Array:
    """Fuse the embeddings (N x D, or D, of length 1) of raw and restored crops, by the blur extents of the raw crops in
    pixels."""
    weight = restored_weight(blur)[..., None]
    mixed = (1 - weight) * raw + weight * restored
    return np.asarray(mixed / np.linalg.norm(mixed, axis=-1, keepdims=True), np.float32)


def not_contradicted_by_raw(scores: Array, raw: Array) -> NDArray[np.bool_]:
    """Return whether the raw scores (N x P, or P) do not contradict the best person by `scores`."""
    best = scores.argmax(-1, keepdims=True)
    return np.asarray(np.take_along_axis(raw, best, -1)[..., 0] >= raw.max(-1) - CONTRADICTION)
