"""Embedders that are fitted to photos: those of `subspaces` and the CNN of `recognize/train/feature_fusion.py`.

A fitted embedder is an ONNX file with the name of its method. Its sha256 is its fingerprint, so that a gallery can only
be used with the file that it was made with.
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

from models.backends.selection import NetworkSession
from recognize.embedders import subspaces
from recognize.embedders.embedder import central_view, normalize
from recognize.embedders.subspaces import NEIGHBORS, Labels
from stream.errors import UsageError
from stream.values import Array, Image

FittedMethod = Literal["pca", "lda", "lpp", "fusion-cnn"]
SIDE = 56
"""Side in pixels of the methods' input: the embedder's view at half its size."""
_BATCH = 64
_KEY = "unblur fitted"


class Description(NamedTuple):
    """Fingerprint and dimensions of a fitted embedder's file."""

    fingerprint: str
    dimensions: int


class FittedEmbedder:
    """A fitted embedder; satisfies `recognize.embedders.embedder.Embedder`."""

    def __init__(self, session: NetworkSession, description: Description) -> None:
        self.fingerprint, self.dimensions = description
        self._session = session

    def embed(self, images: Sequence[Image]) -> Array:
        """Compute the embeddings, N x dimensions of length 1, of N square BGR uint8 crops with sides of at least 112
        pixels."""
        inputs = views(images)
        parts = [self._session.run(inputs[start : start + _BATCH])[0] for start in range(0, len(inputs), _BATCH)]
        return normalize(np.concatenate(parts)) if parts else np.empty((0, self.dimensions), np.float32)


TrainFusion = Callable[[Array, Labels, int], onnx.ModelProto]
"""Trains the fusion CNN on N views and their N labels, with a seed: `recognize.train.feature_fusion.learn`."""


def views(images: Sequence[Image]) -> Array:
    """Compute the inputs of N crops: N x 1 x 56 x 56, gray, float32, each of mean 0 and standard deviation 1, so that
    neither brightness nor contrast counts."""
    resized = np.empty((len(images), 1, SIDE, SIDE), np.float32)
    for index, image in enumerate(images):
        gray = cv2.cvtColor(central_view(image), cv2.COLOR_BGR2GRAY)
        resized[index, 0] = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    centered = resized - resized.mean((2, 3), keepdims=True)
    return np.asarray(centered / np.maximum(centered.std((2, 3), keepdims=True), 1), np.float32)


def fit(
    method: FittedMethod, crops: Sequence[Image], labels: Labels, seed: int, train_fusion: TrainFusion | None = None
) -> bytes:
    """Fit an embedder to crops of people and return its file; `labels` (N, from 0) are the person of each.

    Only the fusion CNN needs `train_fusion`; its training is random and depends on `seed`. Raises UsageError if there
    are too few people or photos.
    """
    inputs = views(crops)
    _require_enough(method, inputs, labels)
    model = _network(method, inputs, labels, seed, train_fusion)
    helper.set_model_props(model, {_KEY: method})
    return bytes(model.SerializeToString())


def read_description(path: Path, method: FittedMethod) -> Description:
    """Read the description of a fitted embedder's file. Raises UsageError if it is none, or was fitted by another
    method."""
    try:
        content = path.read_bytes()
        model = onnx.load_model_from_string(content)
    except OSError as error:
        raise UsageError(f"no fitted embedder can be read at {path} ({error.strerror}): run `unblur fit`") from error
    except DecodeError as error:
        raise UsageError(f"{path} is not a file made by `unblur fit`") from error
    fitted_method = {entry.key: entry.value for entry in model.metadata_props}.get(_KEY)
    if fitted_method is None:
        raise UsageError(f"{path} is not a file made by `unblur fit`")
    if fitted_method != method:
        raise UsageError(
            f"{path} was fitted as {fitted_method}, not as {method}: set recognition.embedder to {fitted_method}"
        )
    return Description(sha256(content).hexdigest(), model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def _network(
    method: FittedMethod, inputs: Array, labels: Labels, seed: int, train_fusion: TrainFusion | None
) -> onnx.ModelProto:
    pixels, shape = inputs.reshape(len(inputs), -1), inputs.shape[1:]
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
            return train_fusion(inputs, labels, seed)


def _require_enough(method: FittedMethod, inputs: Array, labels: Labels) -> None:
    photos, people = len(np.unique(inputs, axis=0)), len(np.unique(labels))
    if people < 2 or photos <= max(NEIGHBORS, people):
        least = "at least 2 people, more photos than people, and more than 5 photos, all different"
        raise UsageError(f"{method} is fitted to {least}: here are {people} people and {photos} photos")
