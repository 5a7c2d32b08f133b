"""`unblur evaluate recognition`: runs `closed_set.py` on ORL and Yale and writes a table and a plot.

All methods get the crops that the program would cut out, and the same splits.
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
from unblur.evaluate.experiments.closed_set import METHODS, SOURCES, ClosedSetData, Faces, MethodName, Trial
from unblur.evaluate.reporting import output_folder, plots
from unblur.evaluate.reporting.run_record import record_run
from unblur.evaluate.reporting.tables import Cell, Column, Table, to_markdown
from unblur.evaluate.scoring.open_set_metrics import Numbers
from unblur.terminal import download_bar

TITLE = "Recognition"
TRAINED_METHOD: MethodName = "fusion-cnn"
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
TrialsByMethod = Mapping[tuple[ClosedSetData, MethodName], Sequence[Trial]]


def evaluate(data: Path, out: Path, seed: int, repeats: int, methods: Sequence[str], backend: Backend) -> str:
    """Evaluate, write the table and a plot to `out`, and return the table as Markdown.

    Raises UsageError, ModelError, StorageError.
    """
    cv2.setNumThreads(1)
    names, notes = _select_methods(methods)
    with download_bar() as downloads:
        detector = YuNet(load(fetch("yunet", progress=downloads), backend), min_confidence=IN_VIDEO)
        session = load(fetch("sface", progress=downloads), backend)
    faces = {source: closed_set.load_faces(data, source, detector) for source in SOURCES}
    terminal.make_writable_folder(out)
    archives = [data / source.archive for source in SOURCES]
    record = record_run(archives, seed, session.backend, *notes, *_describe_data(faces, repeats))
    done = _run(faces, names, SFace(session, fingerprint("sface")), seed, repeats, backend)
    rows = [_row(source.name, name, trials) for (source, name), trials in done.items()]
    table = Table("The nearest neighbour is the right person", _COLUMNS, rows)
    output_folder.write(
        out, TITLE, [table], record, {"accuracy": partial(plots.draw_spread, _panels(done), "accuracy")}
    )
    return to_markdown(TITLE, [table], record)


def _select_methods(methods: Sequence[str]) -> tuple[list[MethodName], list[str]]:
    """Select methods by name, or all that can run here, with a note on one that is left out.

    Raises UsageError for an unknown method, and for a named one that cannot run here.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise UsageError(f"no method is called {unknown[0]!r}: there are {', '.join(METHODS)}")
    selected = [name for name in METHODS if name in methods or not methods]
    if find_spec("torch") or TRAINED_METHOD not in selected:
        return selected, []
    missing = f"{TRAINED_METHOD} needs torch: pip install 'unblur[train]'"
    if methods:
        raise UsageError(missing)
    return [name for name in selected if name != TRAINED_METHOD], [f"left out: {missing}"]


def _run(
    faces: Mapping[ClosedSetData, Faces],
    names: Sequence[MethodName],
    sface: SFace,
    seed: int,
    repeats: int,
    backend: Backend,
) -> TrialsByMethod:
    done: dict[tuple[ClosedSetData, MethodName], list[Trial]] = {
        (source, name): [] for source in faces for name in names
    }
    with terminal.progress() as progress:
        task = progress.add_task("recognition", total=len(done) * repeats)
        for (source, name), trials in done.items():
            embed = closed_set.make_embed(name, faces[source], sface, backend)
            for trial in closed_set.run_trials(faces[source], embed, source.training_count, seed, repeats):
                trials.append(trial)
                progress.advance(task)
    return done


def _describe_data(faces: Mapping[ClosedSetData, Faces], repeats: int) -> list[str]:
    sizes = [
        f"{source.name}: {len(each.crops)} pictures of {each.labels.max() + 1} people, {source.training_count} of each"
        f" learnt from; {len(each.crops) - each.pictures.max() - 1} are another's twin, pixel for pixel"
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


def _panels(trials: TrialsByMethod) -> dict[str, dict[str, Numbers]]:
    """Group the accuracies by dataset and method."""
    panels: dict[str, dict[str, Numbers]] = {}
    for (source, name), repeats in trials.items():
        panels.setdefault(source.name, {})[name] = np.array([trial.accuracy for trial in repeats])
    return panels
