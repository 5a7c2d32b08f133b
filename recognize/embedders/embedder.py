"""The interface of embedders, and what all of them do with crops and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from stream.values import Array, Image

SIDE = 112
"""Pixels of an embedder's square view, which is the centre of a crop."""


class Embedder(Protocol):
    """Turns aligned crops into embeddings. What a crop gives does not depend on the crops beside it.

    `fingerprint` tells the embedder's file from all others (its sha256, say): embeddings of different embedders cannot
    be compared, so a gallery remembers which one made it. An embedding is `dimensions` numbers.
    """

    fingerprint: str
    dimensions: int

    def embed(self, images: Sequence[Image]) -> Array:
        """The embeddings, N x dimensions of length 1, of N square BGR uint8 crops with sides of at least 112 pixels."""
        ...


def normalize(vectors: Array) -> Array:
    """The vectors (... x D, none of them zero) scaled to length 1."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)


def central_view(image: Image) -> Image:
    """The middle 112 x 112 pixels of a crop: what embedders see of it."""
    height, width = image.shape[:2]
    if height != width or width < SIDE:
        raise ValueError(f"a crop to embed is square with sides of at least {SIDE} pixels, not {width} x {height}")
    start = (width - SIDE) // 2
    return image[start : start + SIDE, start : start + SIDE]
