"""Interface of embedders, and the functions that all of them use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from stream.values import Array, Image

SIDE = 112
"""Side in pixels of an embedder's input, which is the center of a crop."""


class Embedder(Protocol):
    """Computes embeddings of aligned crops; a result does not depend on the other crops of a call.

    `fingerprint` identifies the embedder's file (for example by its sha256): embeddings of different embedders cannot
    be compared, so a gallery records which one made it. An embedding has `dimensions` numbers.
    """

    fingerprint: str
    dimensions: int

    def embed(self, images: Sequence[Image]) -> Array:
        """Compute the embeddings, N x dimensions of length 1, of N square BGR uint8 crops with sides of at least 112
        pixels."""
        ...


def normalize(vectors: Array) -> Array:
    """Scale the vectors (... x D, none of them zero) to length 1."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)


def central_view(image: Image) -> Image:
    """Return the central 112 x 112 pixels of a crop. Raises ValueError if it is smaller or not square."""
    height, width = image.shape[:2]
    if height != width or width < SIDE:
        raise ValueError(f"a crop to embed is square with sides of at least {SIDE} pixels, not {width} x {height}")
    start = (width - SIDE) // 2
    return image[start : start + SIDE, start : start + SIDE]
