"""A face as numbers, near to those of the same person and far from everybody else's: what an embedder is, and SFace.

The network is SFace (Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", IEEE TIP
2021) as the OpenCV Zoo publishes it, fed as `cv2.FaceRecognizerSF` feeds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from models.backends.selection import Session
from stream.values import Array, Image

SIDE = 112
"""Pixels of an embedder's square view, which is the centre of a crop."""
DIMENSIONS = 128
_BATCH = 16


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


class SFace:
    """The network of that name; satisfies `Embedder`. `fingerprint` is its file's."""

    dimensions = DIMENSIONS

    def __init__(self, session: Session, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._session = session

    def embed(self, images: Sequence[Image]) -> Array:
        """The embeddings, N x 128 of length 1, of N square BGR uint8 crops with sides of at least 112 pixels.

        At most 16 crops go through the network at once, so that memory stays bounded.
        """
        parts = [self._embed(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, DIMENSIONS), np.float32)

    def _embed(self, images: Sequence[Image]) -> Array:
        views = [np.ascontiguousarray(view(image)) for image in images]
        embeddings = self._session.run(np.asarray(cv2.dnn.blobFromImages(views, swapRB=True), np.float32))[0]
        return normalised(embeddings)


def normalised(vectors: Array) -> Array:
    """The vectors (... x D, none of them zero) scaled to length 1."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)


def view(image: Image) -> Image:
    """The middle 112 x 112 pixels of a crop: what embedders see of it."""
    height, width = image.shape[:2]
    if height != width or width < SIDE:
        raise ValueError(f"a crop to embed is square with sides of at least {SIDE} pixels, not {width} x {height}")
    start = (width - SIDE) // 2
    return image[start : start + SIDE, start : start + SIDE]
