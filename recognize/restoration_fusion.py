"""What a restored face may say about who it is: the rule, one and the same for the program and its evaluation.

Restoration finds people whom the raw crop has lost, and invents. Both crops are heard, after "Effective Adapter for
Face Recognition in the Wild" (Liu et al., arXiv 2312.01734): the more blurred the raw one, the more the restored one
counts, and the more similar both have to be to a person; and whom the raw one clearly contradicts is not named. Chosen
on `val` by `benchmarks/restoration_fusion.py` (docs/design/deblurring.md, "The rule").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.values import Array

EVEN = 10.0
"""Blur, in crop pixels, at which a restored crop counts as much as the raw one; the share grows with its square."""
CAUTION = 0.04
"""What a restored crop that alone counted would add to the threshold of a still picture, where no second look can
agree with it."""
RELIEF = 0.03
"""By how much a raw crop that showed nothing but blur would lower the threshold of a track."""
CONTRADICTION = 0.15
"""Restored crops cannot name whom the raw ones find this much less similar than somebody else."""


def restored_weight(blur: ArrayLike) -> Array:
    """What restored crops count (0..1), by the extents of the raw crops' blur in pixels; 0 for one left alone."""
    squared = np.square(np.asarray(blur, np.float32))
    return np.asarray(squared / (squared + np.float32(EVEN) ** 2))


def still_threshold_offset(blur: ArrayLike) -> Array:
    """By how much a still picture's threshold is higher for what was restored: restoration makes strangers more
    similar, too."""
    return np.asarray(np.float32(CAUTION) * restored_weight(blur))


def blur_threshold_offset(blur: ArrayLike) -> Array:
    """By how much a track's threshold is lower for crops that are left as blurred as they are: the more blurred, the
    less similar strangers are. Of restored ones, as many reach a threshold as of sharp ones
    (`benchmarks/threshold.py`)."""
    return np.asarray(np.float32(RELIEF) * restored_weight(blur))


def fused(raw: Array, restored: Array, blur: ArrayLike) -> Array:
    """The embeddings (N x D, or D, of length 1) that decide, by those of the raw and of the restored crops, and the
    extents of the raw crops' blur in pixels."""
    counts = restored_weight(blur)[..., None]
    mixed = (1 - counts) * raw + counts * restored
    return np.asarray(mixed / np.linalg.norm(mixed, axis=-1, keepdims=True), np.float32)


def not_contradicted_by_raw(scores: Array, raw: Array) -> NDArray[np.bool_]:
    """Whether the raw crops' similarities (N x P, or P) do not contradict the person most similar by `scores`."""
    best = scores.argmax(-1, keepdims=True)
    return np.asarray(np.take_along_axis(raw, best, -1)[..., 0] >= raw.max(-1) - CONTRADICTION)
