"""Closed-set recognition: every person is known, and the nearest neighbor names a face.

Each person's images are split at random. Features fitted to one part (or a network trained on other people) embed both
parts; an image of the other part gets the name of its nearest neighbor.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from detectors.alignment import align
from models.backends.selection import Backend
from recognize.embedders.embedder import Embedder
from recognize.embedders.fitted_embedder import FittedMethod, fit
from stream.errors import SourceError
from stream.interfaces import Detector
from stream.values import Array, Image
from unblur.assembly.components import fusion_trainer, load_fitted
from unblur.evaluate.data import archives
from unblur.evaluate.data.datasets import photograph_detector
from unblur.evaluate.scoring.open_set_metrics import Indices

MethodName = Literal[FittedMethod, "sface"]
METHODS: tuple[MethodName, ...] = get_args(MethodName)


class ClosedSetData(NamedTuple):
    """A closed-set dataset: archive, suffix of the images, and number of training images of each person."""

    name: str
    archive: str
    suffix: str
    training_count: int


SOURCES = (ClosedSetData("ORL", "seed/orl.tar", ".pgm", 5), ClosedSetData("Yale", "seed/yale.tar", ".png", 6))


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """N aligned crops with the number of their person and of their image (equal numbers: the same pixels)."""

    crops: Sequence[Image]
    labels: Indices
    pictures: Indices


class Trial(NamedTuple):
    """One repeat: the share of test faces named rightly; the same without test images that are also training images;
    and the length of an embedding."""

    accuracy: float
    untwinned: float
    dimensions: int


def load_faces(data: Path, source: ClosedSetData, detector: Detector) -> Faces:
    """Load and align a dataset. Raises SourceError for an image without a face, or a person with too few images."""
    archive = data / source.archive
    images = archives.read(archive, suffix=source.suffix)
    make_photograph = photograph_detector(detector)
    crops, people = [], []
    for name, image in images.items():
        photograph = make_photograph((PurePosixPath(name).parent.name, image))
        if photograph is None:
            raise SourceError(f"no face is found on {name} in {archive}")
        crops.append(align(photograph.image, photograph.landmarks)[0])
        people.append(photograph.person)
    labels, counts = np.unique(people, return_inverse=True, return_counts=True)[1:]
    if counts.min() <= source.training_count:
        raise SourceError(
            f"{archive} is not laid out as <Person>/*{source.suffix}, more than {source.training_count} of each"
        )
    pictures = np.unique([image.tobytes() for image in images.values()], return_inverse=True)[1]
    return Faces(crops, labels, pictures)


EmbedFaces = Callable[[Indices, int], Array]
"""Returns the embeddings of all faces (N x D), fitted to the faces at the given indices, with a seed."""


def make_embed(name: MethodName, faces: Faces, sface: Embedder, backend: Backend) -> EmbedFaces:
    """Make the function that embeds the faces by a method. It raises UsageError if there are too few faces to fit."""
    if name == "sface":
        embed_once = cache(lambda: sface.embed(faces.crops))
        return lambda *_: embed_once()

    def embed(training: Indices, seed: int) -> Array:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.onnx"
            crops = [faces.crops[index] for index in training]
            train_fusion = fusion_trainer() if name == "fusion-cnn" else None
            file.write_bytes(fit(name, crops, faces.labels[training], seed, train_fusion))
            return load_fitted(file, name, backend).embed(faces.crops)

    return embed


def run_trials(faces: Faces, embed: EmbedFaces, training_count: int, seed: int, repeats: int) -> Iterator[Trial]:
    """Run the repeats, with `training_count` images of each person. Repeat n has the same split for every method."""
    for repeat in range(repeats):
        training = draw_split(faces.labels, training_count, np.random.default_rng((seed, repeat)))
        yield _run_trial(faces, embed(np.flatnonzero(training), seed + repeat), training)


def draw_split(labels: Indices, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark `count` random items of each label."""
    drawn = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        drawn[rng.choice(np.flatnonzero(labels == label), count, replace=False)] = True
    return drawn


def _run_trial(faces: Faces, embeddings: Array, training: NDArray[np.bool_]) -> Trial:
    nearest = KNeighborsClassifier(1, metric="cosine").fit(embeddings[training], faces.labels[training])
    correct = nearest.predict(embeddings[~training]) == faces.labels[~training]
    new = ~np.isin(faces.pictures[~training], faces.pictures[training])
    return Trial(float(correct.mean()), float(correct[new].mean()), embeddings.shape[1])
