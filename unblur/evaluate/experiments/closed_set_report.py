"""`unblur evaluate recognition`: the seed's experiments on ORL and Yale, by `nearest.py`, told in a table and a plot.

All methods see the crops that the program would cut out, and the same splits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from detectors.yunet import IN_VIDEO, YuNet
from models.assets.fetch import fetch, fingerprint
from models.backends.selection import Backend, load
from recognize.embedders.sface import SFace
from stream.errors import UsageError
from unblur import terminal
from unblur.evaluate.experiments import closed_set
from unblur.evaluate.experiments.closed_set import METHODS, SOURCES, Faces, Name, Source, Trial
from unblur.evaluate.reporting import output_folder, plots
from unblur.evaluate.reporting.run_record import record
from unblur.evaluate.reporting.tables import Cell, Column, Table, markdown
from unblur.evaluate.scoring.open_set_metrics import Numbers
from unblur.terminal import download_bar

TITLE = "Recognition"
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
Done = Mapping[tuple[Source, Name], Sequence[Trial]]


def evaluate(data: Path, out: Path, seed: int, repeats: int, methods: Sequence[str], backend: Backend) -> str:
    """Evaluate, leave the table and a plot in `out`, and give the table as Markdown.

    Raises UsageError, ModelError, StorageError.
    """
    cv2.setNumThreads(1)
    names, notes = _chosen(methods)
    with download_bar() as downloads:
        detector = YuNet(load(fetch("yunet", progress=downloads), backend), min_confidence=IN_VIDEO)
        session = load(fetch("sface", progress=downloads), backend)
    faces = {source: closed_set.read(data, source, detector) for source in SOURCES}
    terminal.make_writable_folder(out)
    archives = [data / source.archive for source in SOURCES]
    told = record(archives, seed, session.backend, *notes, *_told(faces, repeats))
    done = _run(faces, names, SFace(session, fingerprint("sface")), seed, repeats, backend)
    rows = [_row(source.name, name, trials) for (source, name), trials in done.items()]
    table = Table("The nearest neighbour is the right person", _COLUMNS, rows)
    output_folder.write(out, TITLE, [table], told, {"accuracy": partial(plots.spread, _panels(done), "accuracy")})
    return markdown(TITLE, [table], told)


def _chosen(methods: Sequence[str]) -> tuple[list[Name], list[str]]:
    """The methods that are asked for, or all that can be had here; and a note on one that is left out.

    Raises UsageError for one that there is not, or that is asked for and cannot be had.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise UsageError(f"no method is called {unknown[0]!r}: there are {', '.join(METHODS)}")
    asked = [name for name in METHODS if name in methods or not methods]
    if find_spec("torch") or LEARNT not in asked:
        return asked, []
    missing = f"{LEARNT} needs torch: pip install 'unblur[train]'"
    if methods:
        raise UsageError(missing)
    return [name for name in asked if name != LEARNT], [f"left out: {missing}"]


def _run(
    faces: Mapping[Source, Faces], names: Sequence[Name], sface: SFace, seed: int, repeats: int, backend: Backend
) -> Done:
    done: dict[tuple[Source, Name], list[Trial]] = {(source, name): [] for source in faces for name in names}
    with terminal.progress() as progress:
        task = progress.add_task("recognition", total=len(done) * repeats)
        for (source, name), trials in done.items():
            embed = closed_set.embedding(name, faces[source], sface, backend)
            for trial in closed_set.trials(faces[source], embed, source.learnt, seed, repeats):
                trials.append(trial)
                progress.advance(task)
    return done


def _told(faces: Mapping[Source, Faces], repeats: int) -> list[str]:
    sizes = [
        f"{source.name}: {len(each.crops)} pictures of {each.labels.max() + 1} people, {source.learnt} of each learnt"
        f" from; {len(each.crops) - each.pictures.max() - 1} are another's twin, pixel for pixel"
        for source, each in faces.items()
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


def _panels(done: Done) -> dict[str, dict[str, Numbers]]:
    """Accuracies by data and method."""
    panels: dict[str, dict[str, Numbers]] = {}
    for (source, name), trials in done.items():
        panels.setdefault(source.name, {})[name] = np.array([trial.accuracy for trial in trials])
    return panels
