"""Embedders that are fitted to people's photos: the subspaces of `baselines` and the fusion CNN of `train`.

A fitted embedder is an ONNX file which says by what method it was fitted. Its sha256 is its fingerprint, so that a
gallery goes with the one file that it was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper

from models.backends.selection import Session
from recognize.embedders import subspaces
from recognize.embedders.embedder import central_view, normalize
from recognize.embedders.subspaces import NEIGHBOURS, Labels
from stream.errors import UsageError
from stream.values import Array, Image

Method = Literal["pca", "lda", "lpp", "fusion-cnn"]
SIDE = 56
"""Side of what these methods see, in pixels: the embedder's view at half its size."""
_BATCH = 64
_KEY = "unblur fitted"


class Description(NamedTuple):
    """What a file of a fitted embedder says of itself."""

    fingerprint: str
    dimensions: int


class FittedEmbedder:
    """A fitted embedder; satisfies `recognize.embedders.embedder.Embedder`."""

    def __init__(self, session: Session, description: Description) -> None:
        self.fingerprint, self.dimensions = description
        self._session = session

    def embed(self, images: Sequence[Image]) -> Array:
        """The embeddings, N x dimensions of length 1, of N square BGR uint8 crops with sides of at least 112 pixels."""
        seen = views(images)
        parts = [self._session.run(seen[start : start + _BATCH])[0] for start in range(0, len(seen), _BATCH)]
        return normalize(np.concatenate(parts)) if parts else np.empty((0, self.dimensions), np.float32)


TrainFusion = Callable[[Array, Labels, int], onnx.ModelProto]
"""Trains the fusion CNN on N views and their N labels, with a seed: `recognize.train.feature_fusion.learn`."""


def views(images: Sequence[Image]) -> Array:
    """What is seen of N crops: N x 1 x 56 x 56 greys, float32, each of mean 0 and standard deviation 1, so that neither
    brightness nor contrast counts."""
    seen = np.empty((len(images), 1, SIDE, SIDE), np.float32)
    for place, image in enumerate(images):
        grey = cv2.cvtColor(central_view(image), cv2.COLOR_BGR2GRAY)
        seen[place, 0] = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    centred = seen - seen.mean((2, 3), keepdims=True)
    return np.asarray(centred / np.maximum(centred.std((2, 3), keepdims=True), 1), np.float32)


def fit(
    method: Method, crops: Sequence[Image], labels: Labels, seed: int, train_fusion: TrainFusion | None = None
) -> bytes:
    """The file of an embedder fitted to crops of people: `labels` (N, from 0) say whose each is.

    `train_fusion` is needed for the fusion CNN alone, whose training is random and so depends on `seed`. Raises
    UsageError if these are too few people or photos.
    """
    seen = views(crops)
    _require_enough(method, seen, labels)
    model = _network(method, seen, labels, seed, train_fusion)
    helper.set_model_props(model, {_KEY: method})
    return bytes(model.SerializeToString())


def read_description(path: Path, method: Method) -> Description:
    """What the file of a fitted embedder says. Raises UsageError if it is none, or was fitted by another method."""
    try:
        content = path.read_bytes()
        model = onnx.load_model_from_string(content)
    except OSError as error:
        raise UsageError(f"no fitted embedder can be read at {path} ({error.strerror}): run `unblur fit`") from error
    except DecodeError as error:
        raise UsageError(f"{path} is not a file made by `unblur fit`") from error
    told = {entry.key: entry.value for entry in model.metadata_props}.get(_KEY)
    if told is None:
        raise UsageError(f"{path} is not a file made by `unblur fit`")
    if told != method:
        raise UsageError(f"{path} was fitted as {told}, not as {method}: set recognition.embedder to {told}")
    return Description(sha256(content).hexdigest(), model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def _network(
    method: Method, seen: Array, labels: Labels, seed: int, train_fusion: TrainFusion | None
) -> onnx.ModelProto:
    pixels, shape = seen.reshape(len(seen), -1), seen.shape[1:]
    match method:
        case "pca":
            return subspaces.pca(pixels).network(shape)
        case "lda":
            return subspaces.lda(pixels, labels).network(shape)
        case "lpp":  # as many directions as LDA has, to compare with it
            return subspaces.lpp(pixels, int(labels.max())).network(shape)
        case "fusion-cnn":
            if train_fusion is None:
                raise ValueError("the fusion CNN needs `train_fusion`")
            return train_fusion(seen, labels, seed)


def _require_enough(method: Method, seen: Array, labels: Labels) -> None:
    photos, people = len(np.unique(seen, axis=0)), len(np.unique(labels))
    if people < 2 or photos <= max(NEIGHBOURS, people):
        least = "at least 2 people, more photos than people, and more than 5 photos, all different"
        raise UsageError(f"{method} is fitted to {least}: here are {people} people and {photos} photos")
