"""Who is it among people who are all known? The experiment by which faces were identified before strangers counted.

Each person's pictures are split at random; features fitted to one part (or a network that knows nobody of them) make
embeddings of both, and a picture of the other part is whoever its nearest neighbour is.
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
from recognize.embedders.fitted_embedder import Method, fit
from stream.errors import SourceError
from stream.interfaces import Detector
from stream.values import Array, Image
from unblur.assembly.components import fusion_trainer, load_fitted
from unblur.evaluate.data import archives
from unblur.evaluate.data.datasets import finder
from unblur.evaluate.scoring.open_set_metrics import Indices

Name = Literal[Method, "sface"]
METHODS: tuple[Name, ...] = get_args(Name)


class Source(NamedTuple):
    """A data set: where it lies, the suffix of its pictures, and how many of each person's are learnt from."""

    name: str
    archive: str
    suffix: str
    learnt: int


SOURCES = (Source("ORL", "seed/orl.tar", ".pgm", 5), Source("Yale", "seed/yale.tar", ".png", 6))


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """N aligned crops, whose each is (from 0), and which picture (equal numbers: the same picture, pixel for pixel)."""

    crops: Sequence[Image]
    labels: Indices
    pictures: Indices


class Trial(NamedTuple):
    """One repeat: of the faces asked for the share named rightly; of those whose very picture was not among the learnt
    ones; and how many numbers an embedding has."""

    accuracy: float
    untwinned: float
    dimensions: int


def read(data: Path, source: Source, detector: Detector) -> Faces:
    """Raises SourceError if a picture shows no face, or there are too few of somebody."""
    archive = data / source.archive
    images = archives.read(archive, suffix=source.suffix)
    find = finder(detector)
    crops, people = [], []
    for name, image in images.items():
        photograph = find((PurePosixPath(name).parent.name, image))
        if photograph is None:
            raise SourceError(f"no face is found on {name} in {archive}")
        crops.append(align(photograph.image, photograph.landmarks)[0])
        people.append(photograph.person)
    labels, counts = np.unique(people, return_inverse=True, return_counts=True)[1:]
    if counts.min() <= source.learnt:
        raise SourceError(f"{archive} is not laid out as <Person>/*{source.suffix}, more than {source.learnt} of each")
    pictures = np.unique([image.tobytes() for image in images.values()], return_inverse=True)[1]
    return Faces(crops, labels, pictures)


Embed = Callable[[Indices, int], Array]
"""The embeddings of all faces (N x D), fitted to the faces at some places, with a seed."""


def embedding(name: Name, faces: Faces, sface: Embedder, backend: Backend) -> Embed:
    """What embeds the faces by a method. Calling it raises UsageError if the faces are too few to be fitted to."""
    if name == "sface":
        known = cache(lambda: sface.embed(faces.crops))
        return lambda *_: known()

    def embed(learnt: Indices, seed: int) -> Array:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.onnx"
            crops = [faces.crops[place] for place in learnt]
            train_fusion = fusion_trainer() if name == "fusion-cnn" else None
            file.write_bytes(fit(name, crops, faces.labels[learnt], seed, train_fusion))
            return load_fitted(file, name, backend).embed(faces.crops)

    return embed


def trials(faces: Faces, embed: Embed, learnt: int, seed: int, repeats: int) -> Iterator[Trial]:
    """One for each repeat, with `learnt` pictures of each person. The n-th splits the same faces alike for all."""
    for repeat in range(repeats):
        drawn = split(faces.labels, learnt, np.random.default_rng((seed, repeat)))
        yield _trial(faces, embed(np.flatnonzero(drawn), seed + repeat), drawn)


def split(labels: Indices, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Marks `count` random places of each label."""
    drawn = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        drawn[rng.choice(np.flatnonzero(labels == label), count, replace=False)] = True
    return drawn


def _trial(faces: Faces, embeddings: Array, learnt: NDArray[np.bool_]) -> Trial:
    nearest = KNeighborsClassifier(1, metric="cosine").fit(embeddings[learnt], faces.labels[learnt])
    right = nearest.predict(embeddings[~learnt]) == faces.labels[~learnt]
    fresh = ~np.isin(faces.pictures[~learnt], faces.pictures[learnt])
    return Trial(float(right.mean()), float(right[fresh].mean()), embeddings.shape[1])
