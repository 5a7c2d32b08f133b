"""Who judges whether a face is still the same: embedders, each with the crops that it was made for.

SFace is the product's own, and a restoration network's training may have looked at it. FaceNet took no part in
anything here; it is fetched when it is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from models.errors import ModelError
from models.fetch import bar, fetch, fetch_judge, fingerprint
from models.runtime import Backend, load
from recognize.embed import SFace
from recognize.threshold import threshold_for
from stream.data import Array, Image
from unblur.evaluate.photos import centre

Name = Literal["sface", "facenet"]


@dataclass(frozen=True, slots=True)
class Judge:
    """`embed` turns aligned crops (square BGR uint8) into N x D embeddings of length 1; several threads may call it.

    `threshold` gives the cosine similarity from which a face is somebody's, by the number of people enrolled; None
    where no such rule was calibrated.
    """

    name: str
    backend: str
    embed: Callable[[Sequence[Image]], Array]
    threshold: Callable[[int], float] | None


def judge(name: Name, backend: Backend) -> Judge:
    """The embedder of that name, downloaded if need be. Raises ModelError if it cannot be had."""
    with bar() as progress:
        match name:
            case "sface":
                session = load(fetch("sface", progress=progress), backend)
                embedder = SFace(session, fingerprint("sface"))
                return Judge("SFace", session.backend, embedder.embed, threshold_for)
            case "facenet":
                return Judge("FaceNet", "opencv", FaceNet(fetch_judge("facenet", progress=progress)).embed, None)


class FaceNet:
    """Inception-ResNet v1 with 512 numbers a face, as facenet (David Sandberg) trained it after Schroff et al.,
    "FaceNet: a unified embedding for face recognition and clustering", CVPR 2015; run by OpenCV.

    It is fed as it was trained: RGB, 160 x 160, in -1..1. About 50 ms a face.
    """

    VIEW = 112
    """Pixels of the crop's middle that it sees: the best of 104 to 128 on sharp faces of `val`."""
    _INPUT = 160

    def __init__(self, graph: Path) -> None:
        self._graph = str(graph)
        self._own = threading.local()  # a net serves one thread
        self._net()

    def embed(self, images: Sequence[Image]) -> Array:
        """The embeddings, N x 512 of length 1, of N square BGR uint8 crops with sides of at least `VIEW` pixels."""
        return np.concatenate([np.empty((0, 512), np.float32), *(self._embed(image) for image in images)])

    def _embed(self, image: Image) -> Array:
        view = centre(image, self.VIEW)
        size = self._INPUT, self._INPUT
        blob = cv2.dnn.blobFromImage(view, 1 / 128, size, (127.5, 127.5, 127.5), swapRB=True)
        net = self._net()
        net.setInput(blob)
        return np.array(net.forward(), np.float32)

    def _net(self) -> cv2.dnn.Net:
        if not hasattr(self._own, "net"):
            try:
                self._own.net = cv2.dnn.readNetFromTensorflow(self._graph)
            except cv2.error as error:
                raise ModelError(f"{self._graph} does not load in OpenCV {cv2.__version__}: {error.err}") from error
        net: cv2.dnn.Net = self._own.net
        return net
