"""`unblur evaluate recognition`: the seed's experiment, who is it among people who are all known?

Each person's pictures are split at random; features fitted to one part (or a network that knows nobody of them) make
embeddings of both, and a picture of the other part is whoever its nearest neighbour is. All methods see the crops that
the program would cut out, and the same splits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from detectors.align import align
from detectors.yunet import IN_VIDEO, YuNet
from models.fetch import bar, fetch, fingerprint
from models.runtime import Backend, load
from recognize.embed import SFace
from recognize.fitted import Method, fit
from stream.data import Array, Image
from stream.errors import SourceError, UsageError
from stream.stages import Detector
from unblur.assemble import fitted
from unblur.evaluate import photos, plots, results
from unblur.evaluate.people import finder
from unblur.evaluate.rates import Indices, Numbers
from unblur.evaluate.record import record
from unblur.evaluate.table import Cell, Column, Table, markdown

TITLE = "Recognition"
Name = Literal[Method, "sface"]
METHODS: tuple[Name, ...] = get_args(Name)
LEARNT: Name = "fusion-cnn"
_COLUMNS = (
    Column("data", "data"),
    Column("method", "features"),
    Column("dimensions", "numbers", ".0f"),
    Column("accuracy", "accuracy", ".3f"),
    Column("deviation", "standard deviation", ".3f"),
    Column("lowest", "lowest", ".3f"),
    Column("highest", "highest", ".3f"),
    Column("untwinned", "without twins", ".3f"),
)


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


def evaluate(data: Path, out: Path, seed: int, repeats: int, methods: Sequence[str], backend: Backend) -> str:
    """Evaluate, leave the table and a plot in `out`, and give the table as Markdown.

    Raises UsageError, ModelError, StorageError.
    """
    cv2.setNumThreads(1)
    names, notes = _chosen(methods)
    with bar() as downloads:
        detector = YuNet(load(fetch("yunet", progress=downloads), backend), min_confidence=IN_VIDEO)
        session = load(fetch("sface", progress=downloads), backend)
    sets = {source: _faces(data, source, detector) for source in SOURCES}
    results.prepared(out)
    archives = [data / source.archive for source in SOURCES]
    told = record(archives, seed, session.backend, *notes, *_told(sets, repeats))
    sface = SFace(session, fingerprint("sface"))
    trials = {
        (source.name, name): _trials(faces, _embedding(name, faces, sface, backend), source, seed, repeats)
        for source, faces in sets.items()
        for name in names
    }
    with results.progress() as progress:
        task = progress.add_task("recognition", total=len(trials) * repeats)
        done = {key: list(_counted(each, partial(progress.advance, task))) for key, each in trials.items()}
    table = Table(
        "The nearest neighbour is the right person", _COLUMNS, [_row(*key, each) for key, each in done.items()]
    )
    results.write(out, TITLE, [table], told, {"accuracy": partial(plots.spread, _panels(done), "accuracy")})
    return markdown(TITLE, [table], told)


def _chosen(methods: Sequence[str]) -> tuple[list[Name], list[str]]:
    """The methods that are asked for, or all that can be had here; and a note on one that is left out.

    Raises UsageError for one that there is not, or that is asked for and cannot be had.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise UsageError(f"no method is called {unknown[0]!r}: there are {', '.join(METHODS)}")
    if find_spec("torch") or (methods and LEARNT not in methods):
        return [name for name in METHODS if name in methods or not methods], []
    missing = f"{LEARNT} needs torch: pip install 'unblur[train]'"
    if methods:
        raise UsageError(missing)
    return [name for name in METHODS if name != LEARNT], [f"{LEARNT} is left out: {missing}"]


def _faces(data: Path, source: Source, detector: Detector) -> Faces:
    """Raises SourceError if a picture shows no face, or there are too few of somebody."""
    archive = data / source.archive
    images = photos.read(archive, suffix=source.suffix)
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


def _embedding(name: Name, faces: Faces, sface: SFace, backend: Backend) -> Embed:
    if name == "sface":
        known = cache(lambda: sface.embed(faces.crops))
        return lambda *_: known()

    def embed(learnt: Indices, seed: int) -> Array:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.onnx"
            file.write_bytes(fit(name, [faces.crops[place] for place in learnt], faces.labels[learnt], seed))
            return fitted(file, name, backend).embed(faces.crops)

    return embed


def _trials(faces: Faces, embed: Embed, source: Source, seed: int, repeats: int) -> Iterator[Trial]:
    """One for each repeat. The n-th splits the same faces alike for every method."""
    for repeat in range(repeats):
        learnt = _drawn(faces.labels, source.learnt, np.random.default_rng((seed, repeat)))
        yield _trial(faces, embed(np.flatnonzero(learnt), seed + repeat), learnt)


def _drawn(labels: Indices, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
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


def _counted(trials: Iterator[Trial], advance: Callable[[], None]) -> Iterator[Trial]:
    for trial in trials:
        yield trial
        advance()


def _told(sets: Mapping[Source, Faces], repeats: int) -> list[str]:
    sizes = [
        f"{source.name}: {len(faces.crops)} pictures of {faces.labels.max() + 1} people, {source.learnt} of each learnt"
        f" from; {len(faces.crops) - faces.pictures.max() - 1} pictures are another's twin, pixel for pixel"
        for source, faces in sets.items()
    ]
    return [
        f"{repeats} random splits; scikit-learn's KNeighborsClassifier, one neighbour, by cosine",
        "all see the crop aligned by YuNet's five points; without twins: of the pictures asked for only those whose"
        " twin is not among the learnt ones",
        *sizes,
    ]


def _row(data: str, method: str, trials: Sequence[Trial]) -> dict[str, Cell]:
    accuracies = np.array([trial.accuracy for trial in trials])
    return {
        "data": data,
        "method": method,
        "dimensions": float(np.mean([trial.dimensions for trial in trials])),
        "accuracy": float(accuracies.mean()),
        "deviation": float(accuracies.std(ddof=1)),
        "lowest": float(accuracies.min()),
        "highest": float(accuracies.max()),
        "untwinned": float(np.mean([trial.untwinned for trial in trials])),
    }


def _panels(done: Mapping[tuple[str, Name], Sequence[Trial]]) -> dict[str, dict[str, Numbers]]:
    """Accuracies by data and method."""
    panels: dict[str, dict[str, Numbers]] = {}
    for (data, method), trials in done.items():
        panels.setdefault(data, {})[method] = np.array([trial.accuracy for trial in trials])
    return panels
