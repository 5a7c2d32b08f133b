"""`unblur evaluate video --data`: runs the program and baseline rules on simulated clips and scores the event logs.

Each class of speed has one clip per circumstance. An enrolled person is in all of them, each time with another
photograph; a non-mated person is in one. Every log is scored against its clip's ground truth (`event_log.py`).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar

import numpy as np

from configs.loader import load
from configs.schema import Config
from detectors.yunet import YuNet
from models.assets import manifest
from models.assets.cache import digest
from models.assets.fetch import fetch
from models.backends import selection
from stream.errors import OutputError, UsageError
from stream.interfaces import Detector
from stream.simulation.ground_truth import GroundTruth
from unblur import terminal
from unblur.assembly.components import Components
from unblur.assembly.run_summary import run_to_end
from unblur.evaluate.data.clips import (
    SPEEDS,
    ClipSettings,
    Speed,
    Walker,
    detect_walkers,
    one_photograph_each,
    simulate_clip,
    write_photographs,
)
from unblur.evaluate.data.datasets import ARCHIVE, Roles, Split, read_roles
from unblur.evaluate.experiments import video_baselines
from unblur.evaluate.experiments.settings import Settings
from unblur.evaluate.reporting import output_folder, plots
from unblur.evaluate.reporting.run_record import describe_file, record_run
from unblur.evaluate.reporting.tables import Cell, Column, Table, to_markdown
from unblur.evaluate.scoring.event_log import AppearanceResult, Score, read_events, score
from unblur.evaluate.scoring.open_set_metrics import Estimate, Numbers, bootstrap
from unblur.people.enrollment import enroll
from unblur.terminal import download_bar

TITLE = "Video"
ARCHIVES: Mapping[Split, str] = {"test": "lfw250_people.tar", "val": ARCHIVE}
CIRCUMSTANCES: Mapping[str, Callable[[Speed], ClipSettings]] = {
    "plain": ClipSettings,
    "crossing": partial(ClipSettings, crossing=True),
    "occlusion": partial(ClipSettings, occlusion=True),
    "lighting": partial(ClipSettings, lighting=True),
}
MODES = "off", "richardson-lucy", "cnn", "auto"
"""Rows of the program itself, by its option --deblur."""
METHODS = (*video_baselines.RULES, *MODES)
_COLUMNS = (
    Column("speed", "speed"),
    Column("method", "row"),
    Column("known", "known"),
    Column("right", "right", ".3f"),
    Column("wrong", "wrong", ".3f"),
    Column("unknown", "unknown", ".3f"),
    Column("missed", "missed", ".3f"),
    Column("non_mated", "non-mated"),
    Column("non_mated_named", "non-mated named", ".3f"),
    Column("name_changes", "name changes a track", ".3f"),
    Column("seconds_to_name", "s to the right name", ".2f"),
    Column("start_error", "start error, s", "z.2f"),
    Column("end_error", "end error, s", "z.2f"),
    Column("stray", "stray tracks"),
)


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip on disk, with its ground truth."""

    speed: Speed
    circumstance: str
    video: Path
    truth: Path


Choice = TypeVar("Choice", bound=str)
Scores = Mapping[str, Mapping[Clip, Score]]
"""Scores by row and clip."""


def evaluate(settings: Settings, speeds: Sequence[str], out: Path) -> str:
    """Simulate, run and score; write clips, event logs, tables and plots to `out`, and return the tables as Markdown.

    Uses all classes of speed and all methods if none is named.

    Raises UsageError, ModelError, OutputError, StorageError.
    """
    rows, classes = _select("method", settings.methods, METHODS), _select("class of speed", speeds, tuple(SPEEDS))
    archive = settings.data / settings.split / ARCHIVES[settings.split]
    people = read_roles(archive, settings.every)
    with download_bar() as downloads:
        session = selection.load(fetch("yunet", progress=downloads), settings.backend)
    for folder in ("clips", "events"):
        terminal.make_writable_folder(out / folder)
    run_record = record_run([archive], settings.seed, session.backend)
    clips = _simulate_clips(people, classes, YuNet(session), settings, digest(archive), out / "clips")
    gallery = _enroll(people, settings, out / "people.joblib")
    scores = _run(clips, rows, gallery, settings, out / "events")
    tables = [_table(scores), *_by_circumstance(scores)]
    run_record = replace(run_record, notes=tuple(_notes(people, scores)))
    output_folder.write(out, TITLE, tables, run_record, _plots(tables[0]))
    return to_markdown(TITLE, tables, run_record)


def _select(what: str, names: Sequence[str], every: Sequence[Choice]) -> list[Choice]:
    unknown = [name for name in names if name not in every]
    if unknown:
        raise UsageError(f"no {what} is called {unknown[0]!r}: there are {', '.join(every)}")
    return [name for name in every if name in names or not names]


def _simulate_clips(
    people: Roles, speeds: Sequence[Speed], detector: Detector, settings: Settings, data: str, folder: Path
) -> list[Clip]:
    """Simulate the clips. An existing clip of the same data and settings is not made again."""
    every = list(product(SPEEDS, CIRCUMSTANCES))
    selected = [(index, *kind) for index, kind in enumerate(every) if kind[0] in speeds]
    clips = []
    with terminal.progress() as progress:
        for index, speed, circumstance in progress.track(selected, description="film"):
            seed = settings.seed * len(every) + index
            clip_settings = CIRCUMSTANCES[circumstance](speed)
            fingerprint = hashlib.sha256(f"{data} {settings.every} {seed} {clip_settings}".encode()).hexdigest()[:8]
            stem = folder / f"{speed}-{circumstance}-{fingerprint}"
            clip = Clip(speed, circumstance, stem.with_suffix(".mp4"), stem.with_suffix(".json"))
            if not clip.truth.exists():  # the ground truth is written last
                simulate_clip(
                    _make_walkers(people, circumstance, detector), clip_settings, seed, clip.video, clip.truth
                )
            clips.append(clip)
    return clips


def _make_walkers(people: Roles, circumstance: str, detector: Detector) -> list[Walker]:
    """Make the walkers of a circumstance: all enrolled people, each with another photograph, and non-mated ones."""
    turn = list(CIRCUMSTANCES).index(circumstance)
    non_mated = one_photograph_each(people["strangers"])[turn :: len(CIRCUMSTANCES)]
    known = detect_walkers(one_photograph_each(people["probe"], turn), detector, known=True)
    return known + detect_walkers(non_mated, detector, known=False)


def _enroll(people: Roles, settings: Settings, gallery: Path) -> Path:
    """Enroll the people in a new gallery. Raises OutputError."""
    try:
        gallery.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot replace the gallery {gallery}: {error.strerror}") from error
    with tempfile.TemporaryDirectory() as folder:
        enroll(
            Config(backend=settings.backend), write_photographs(people["gallery"], Path(folder)), gallery, strict=False
        )
    return gallery


def _run(
    clips: Sequence[Clip], rows: Sequence[str], gallery: Path, settings: Settings, folder: Path
) -> dict[str, dict[Clip, Score]]:
    parts = Components(Config(backend=settings.backend))
    scores: dict[str, dict[Clip, Score]] = {row: {} for row in rows}
    with terminal.progress() as progress:
        task = progress.add_task("watch", total=len(clips) * len(rows))
        for clip, row in product(clips, rows):
            progress.update(task, description=f"{clip.speed}, {clip.circumstance}: {row}")
            events = folder / f"{clip.video.stem}.{row}.jsonl"
            events.unlink(missing_ok=True)
            if row in video_baselines.RULES:
                video_baselines.run_clip(clip.video, row, parts, gallery, events)
            else:
                run_to_end(_config(clip.video, row, gallery, events, settings))
            scores[row][clip] = score(read_events(events), GroundTruth.load(clip.truth))
            progress.advance(task)
    return scores


def _config(clip: Path, mode: str, gallery: Path, events: Path, settings: Settings) -> Config:
    """Make the configuration of: unblur run CLIP --gallery G --deblur MODE --events FILE --quiet."""
    return load(None, {
        "cameras": [{"source": str(clip)}],
        "recognition": {"gallery": gallery},
        "deblur": {"mode": mode},
        "output": {"events": events, "quiet": True},
        "backend": settings.backend,
    })  # fmt: skip


def _table(scores: Scores) -> Table:
    table = Table("Appearances", _COLUMNS)
    for speed, row, by_clip in _group_by_speed(scores):
        outcomes = [one for result in by_clip.values() for one in result.outcomes]
        stray = sum(len({(event.camera, event.track) for event in result.stray}) for result in by_clip.values())
        table.rows.append({"speed": speed, "method": row, **compute_rates(outcomes, row), "stray": stray})
    return table


def _group_by_speed(scores: Scores) -> Iterator[tuple[Speed, str, dict[Clip, Score]]]:
    """Yield the scores of each class of speed and row."""
    for speed, (row, by_clip) in product(SPEEDS, scores.items()):
        selected = {clip: result for clip, result in by_clip.items() if clip.speed == speed}
        if selected:
            yield speed, row, selected


def compute_rates(outcomes: Sequence[AppearanceResult], row: str) -> dict[str, Cell]:
    """Compute shares and medians over appearances, with intervals; None where no appearance has the value."""
    known = [one for one in outcomes if one.appearance.known]
    non_mated = [one for one in outcomes if not one.appearance.known]
    tracks = sum(one.tracks for one in outcomes)
    changes = sum(one.name_changes for one in outcomes) / tracks if tracks and row != video_baselines.FRAMES else None
    return {
        "known": len(known),
        **{verdict: _share(known, verdict) for verdict in ("right", "wrong", "unknown", "missed")},
        "non_mated": len(non_mated),
        "non_mated_named": _share(non_mated, "wrong"),
        "name_changes": changes,
        "seconds_to_name": _median([one.seconds_to_name for one in known]),
        "start_error": _median([one.start_error for one in outcomes]),
        "end_error": _median([one.end_error for one in outcomes]),
    }


def _share(outcomes: Sequence[AppearanceResult], verdict: str) -> Estimate | None:
    return bootstrap(np.array([float(one.verdict == verdict) for one in outcomes])) if outcomes else None


def _median(values: Sequence[float | None]) -> Estimate | None:
    given: Numbers = np.array([value for value in values if value is not None])
    return bootstrap(given, np.median) if len(given) else None


def _by_circumstance(scores: Scores) -> list[Table]:
    """Make the tables of right and of wrong names, with a column for each circumstance."""
    columns = (*_COLUMNS[:2], *(Column(name, name, ".3f") for name in CIRCUMSTANCES))
    right = Table("Known people named rightly, by circumstance", columns)
    false = Table("Known and non-mated people given a wrong name, by circumstance", columns)
    for speed, row, by_clip in _group_by_speed(scores):
        known = {clip: [one for one in each.outcomes if one.appearance.known] for clip, each in by_clip.items()}
        wrong = {clip.circumstance: _share(each.outcomes, "wrong") for clip, each in by_clip.items()}
        shares = {clip.circumstance: _share(outcomes, "right") for clip, outcomes in known.items()}
        right.rows.append({"speed": speed, "method": row, **shares})
        false.rows.append({"speed": speed, "method": row, **wrong})
    return [right, false]


def _notes(people: Roles, scores: Scores) -> Iterator[str]:
    enrolled = {portrait.person for portrait in people["gallery"]}
    non_mated = {portrait.person for portrait in people["strangers"]}
    photographs = len(people["gallery"])
    yield f"{len(enrolled)} people enrolled with {photographs} photographs; {len(non_mated)} non-mated people"
    yield "clips: 720p30, shutter 0.6, unknown to the program, faces 55 to 90 px, H.264 CRF 26, four people at once"
    yield "intervals: 95 %, bootstrapped over appearances; where all n are alike it shows nothing: up to 3/n off"
    rules = ", ".join(video_baselines.RULES)
    yield f"rows {rules}: the program's detector, tracker, embeddings and threshold, on raw crops"
    if {"cnn", "auto"}.intersection(scores):
        yield f"network: {describe_file(manifest.trained_network('deblur').path)}"


def _plots(table: Table) -> dict[str, output_folder.Draw]:
    labels = {"right": "known people named rightly", "non_mated_named": "non-mated people named"}
    labels |= {"wrong": "known people called by another's name", "seconds_to_name": "median seconds to the right name"}
    return {
        key.replace("_", "-"): partial(plots.draw_gains, _series(table, key), label, 0.0)
        for key, label in labels.items()
    }


def _series(table: Table, key: str) -> dict[str, dict[str, Estimate]]:
    """Group a column's estimates by row and class of speed."""
    series: dict[str, dict[str, Estimate]] = {}
    for row in table.rows:
        cell = row[key]
        if isinstance(cell, Estimate):
            series.setdefault(str(row["method"]), {})[str(row["speed"])] = cell
    return series
