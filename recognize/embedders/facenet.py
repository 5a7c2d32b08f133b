"""FaceNet face embeddings: 512 numbers.

The network is Inception-ResNet v1 as facenet (David Sandberg) trained it on CASIA-WebFace after Schroff et al.,
"FaceNet: a unified embedding for face recognition and clustering", CVPR 2015; OpenCV runs it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from models.errors import ModelError
from recognize.embedders.embedder import central_view
from stream.values import Array, Image

_INPUT = (160, 160)


class FaceNet:
    """Inception-ResNet v1; satisfies `Embedder`; thread-safe. `fingerprint` is that of its graph.

    Input as in its training: RGB, 160 x 160, in -1..1; the central 112 pixels of the crop are the best of 104 to 128 on
    sharp faces of `val`. About 50 ms a face.
    """

    dimensions = 512

    def __init__(self, graph: Path, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._graph = str(graph)
        self._local = threading.local()  # a net is not thread-safe
        self._net()

    def embed(self, images: Sequence[Image]) -> Array:
        """Compute the embeddings, N x 512 of length 1, of N square BGR uint8 crops with sides of at least 112
        pixels."""
        return np.concatenate([np.empty((0, self.dimensions), np.float32), *(self._embed(image) for image in images)])

    def _embed(self, image: Image) -> Array:
        blob = cv2.dnn.blobFromImage(central_view(image), 1 / 128, _INPUT, (127.5, 127.5, 127.5), swapRB=True)
        net = self._net()
        net.setInput(blob)
        return np.array(net.forward(), np.float32)

    def _net(self) -> cv2.dnn.Net:
        if not hasattr(self._local, "net"):
            try:
                self._local.net = cv2.dnn.readNetFromTensorflow(self._graph)
            except cv2.error as error:
                raise ModelError(f"{self._graph} does not load in OpenCV {cv2.__version__}: {error.err}") from error
        net: cv2.dnn.Net = self._local.net
        return net
