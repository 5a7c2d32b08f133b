"""`unblur evaluate identify`: the experiment of `identification.py`, told in tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2

from detectors.alignment import align
from detectors.yunet import IN_VIDEO, YuNet
from models.assets.fetch import fetch
from models.backends.selection import load
from stream.interfaces import Detector
from unblur import terminal
from unblur.evaluate.data.blur_conditions import Condition, chosen, conditions
from unblur.evaluate.data.datasets import ARCHIVE, DatasetSplit, cast
from unblur.evaluate.experiments import methods, reference_embedders
from unblur.evaluate.experiments.identification import RAW, Alignment, Enrolled, Identification, Outcome
from unblur.evaluate.experiments.reference_embedders import Judge
from unblur.evaluate.experiments.settings import Settings, side_by_side
from unblur.evaluate.reporting import output_folder, plots
from unblur.evaluate.reporting.run_record import record
from unblur.evaluate.reporting.tables import Cell, Column, Table, markdown
from unblur.evaluate.scoring.open_set_metrics import OpenSetTrial, threshold_at
from unblur.terminal import download_bar

TITLE = "Identification"
_COLUMNS = (
    Column("blur", "blur"),
    Column("method", "row"),
    Column("rank1", "rank-1", ".3f"),
    Column("dir1", "DIR@FPIR1%", ".3f"),
    Column("dir5", "DIR@FPIR5%", ".3f"),
    Column("dir", "DIR, fixed threshold", ".3f"),
    Column("fpir", "FPIR, fixed threshold", ".3f"),
    Column("gained", "gained"),
    Column("lost", "lost"),
    Column("wrong", "turned wrong"),
)
Outcomes = Mapping[str, Outcome]
"""By condition."""
_TITLES: Mapping[Alignment, str] = {
    "sharp": "Aligned by the sharp photograph, as by a tracker",
    "blurred": "Aligned on the blurred photograph itself",
}


def evaluate(settings: Settings, judge: reference_embedders.Name, alignments: Sequence[Alignment], out: Path) -> str:
    """Evaluate, leave tables and plots in `out`, and give the tables as Markdown.

    Raises UsageError, ModelError, StorageError.
    """
    cv2.setNumThreads(1)
    under = chosen(conditions(settings.data), settings.conditions)
    deblurrers = methods.makers(settings.backend, settings.network)
    names = methods.chosen(settings.methods, deblurrers)
    network = methods.told(names, settings.backend, settings.network)
    with download_bar() as downloads:
        detector = YuNet(load(fetch("yunet", progress=downloads), settings.backend), min_confidence=IN_VIDEO)
    who = cast(settings.data, settings.split, detector, settings.every)
    terminal.make_writable_folder(out)
    embedder = reference_embedders.judge(judge, settings.backend)
    told = record([settings.data / settings.split / ARCHIVE], settings.seed, embedder.backend)
    enrolled = Enrolled.of(who, embedder)
    experiment = Identification(who, enrolled, embedder, detector, names, deblurrers, settings.seed)
    by = _run(experiment, under, alignments)
    threshold = fixed_threshold(embedder, len(enrolled.people), settings, detector)
    tables = [_table(_TITLES[alignment], each, threshold, settings.seed) for alignment, each in by.items()]
    told = replace(told, notes=(*network, *_notes(who, embedder, threshold), *_found(by)))
    output_folder.write(out, TITLE, tables, told, _plots(by))
    return markdown(TITLE, tables, told)


def _run(
    experiment: Identification, under: Sequence[Condition], alignments: Sequence[Alignment]
) -> dict[Alignment, dict[str, Outcome]]:
    by: dict[Alignment, dict[str, Outcome]] = {alignment: {} for alignment in alignments}
    work = partial(experiment.outcomes, alignments=alignments)
    with terminal.progress() as progress:
        task = progress.add_task("identify", total=len(under))
        for condition, outcomes in zip(under, side_by_side(work, under), strict=True):
            for alignment, outcome in outcomes.items():
                by[alignment][condition.name] = outcome
            progress.advance(task)
    return by


def fixed_threshold(judge: Judge, people: int, settings: Settings, detector: Detector) -> float:
    """What a user gets with so many people enrolled; for a judge without a rule, what 1 % of val's sharp strangers
    exceed."""
    if judge.threshold is not None:
        return judge.threshold(people)
    chosen_by = cast(settings.data, "val", detector, settings.every)
    crops = [align(each.image, each.landmarks)[0] for each in chosen_by.strangers]
    return threshold_at(Enrolled.of(chosen_by, judge).scores(judge.embed(crops)), 0.01)


def _notes(who: DatasetSplit, judge: Judge, threshold: float) -> list[str]:
    rule = "threshold_for" if judge.threshold else "what 1 % of val's sharp strangers exceed"
    strangers = len({each.person for each in who.strangers})
    return [
        f"judge: {judge.name}; similarity to a person: the best cosine over the person's gallery photographs",
        f"{len(who.people)} people with {len(who.gallery)} gallery photographs and {len(who.probes)} probes;"
        f" {strangers} strangers with {len(who.strangers)} photographs; {who.faceless} photographs without a face",
        f"fixed threshold: {threshold:.3f} ({rule}); gained, lost, turned wrong: probes named rightly at it by this row"
        " and not raw, raw and not by this row, and, of these, named as somebody else",
    ]


def _found(by: Mapping[Alignment, Outcomes]) -> list[str]:
    told = [f"{name} {each.found:.3f}" for name, each in by.get("blurred", {}).items()]
    return [f"share of faces found on the blurred photographs: {', '.join(told)}"] if told else []


def _table(title: str, outcomes: Outcomes, threshold: float, seed: int) -> Table:
    table = Table(title, _COLUMNS)
    for blur, outcome in outcomes.items():
        for row, trial in outcome.trials.items():
            harm = {} if row == RAW else _harm(outcome.trials[RAW], trial, threshold)
            table.rows.append({"blur": blur, "method": row, **trial.rates(threshold, seed), **harm})
    return table


def _harm(raw: OpenSetTrial, restored: OpenSetTrial, threshold: float) -> dict[str, Cell]:
    before, after = raw.named(threshold), restored.named(threshold)
    was, is_now = before == raw.labels, after == raw.labels
    return {
        "gained": int((~was & is_now).sum()),
        "lost": int((was & ~is_now).sum()),
        "wrong": int((was & ~is_now & (after >= 0)).sum()),
    }


def _plots(by: Mapping[Alignment, Outcomes]) -> dict[str, output_folder.Draw]:
    drawn: dict[str, output_folder.Draw] = {}
    for alignment, outcomes in by.items():
        curves = {blur: {row: trial.curve() for row, trial in each.trials.items()} for blur, each in outcomes.items()}
        drawn[f"dir-fpir-{alignment}"] = partial(plots.curves, curves)
        for blur, each in outcomes.items():
            drawn[f"sheet-{alignment}-{blur}"] = partial(plots.sheet, each.sheet)
    return drawn
