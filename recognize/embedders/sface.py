"""SFace face embeddings: 128 numbers by an ONNX network.

The network is SFace (Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", IEEE TIP
2021) as the OpenCV Zoo publishes it, fed as `cv2.FaceRecognizerSF` feeds it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from models.backends.selection import NetworkSession
from recognize.embedders.embedder import central_view, normalize
from stream.values import Array, Image

DIMENSIONS = 128

_BATCH = 16


class SFace:
    """The network of that name; satisfies `Embedder`. `fingerprint` is its file's."""

    dimensions = DIMENSIONS

    def __init__(self, session: NetworkSession, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._session = session

    def embed(self, images: Sequence[Image]) -> Array:
        """The embeddings, N x 128 of length 1, of N square BGR uint8 crops with sides of at least 112 pixels.

        At most 16 crops go through the network at once, so that memory stays bounded.
        """
        parts = [self._embed(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, DIMENSIONS), np.float32)

    def _embed(self, images: Sequence[Image]) -> Array:
        views = [np.ascontiguousarray(central_view(image)) for image in images]
        embeddings = self._session.run(np.asarray(cv2.dnn.blobFromImages(views, swapRB=True), np.float32))[0]
        return normalize(embeddings)
