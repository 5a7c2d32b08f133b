"""`unblur evaluate identify`: runs `identification.py` and writes tables and plots."""

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
from unblur.evaluate.data.blur_conditions import Condition, load_conditions, select_conditions
from unblur.evaluate.data.datasets import ARCHIVE, DatasetSplit, load_split
from unblur.evaluate.experiments import methods, reference_embedders
from unblur.evaluate.experiments.identification import RAW, Alignment, ConditionResult, Enrolled, Identification
from unblur.evaluate.experiments.reference_embedders import ReferenceEmbedder
from unblur.evaluate.experiments.settings import Settings, run_parallel
from unblur.evaluate.reporting import output_folder, plots
from unblur.evaluate.reporting.run_record import record_run
from unblur.evaluate.reporting.tables import Cell, Column, Table, to_markdown
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
ConditionResults = Mapping[str, ConditionResult]
"""Results by condition name."""
_TITLES: Mapping[Alignment, str] = {
    "sharp": "Aligned by the sharp photograph, as by a tracker",
    "blurred": "Aligned on the blurred photograph itself",
}


def evaluate(
    settings: Settings, judge: reference_embedders.JudgeName, alignments: Sequence[Alignment], out: Path
) -> str:
    """Evaluate, write tables and plots to `out`, and return the tables as Markdown.

    Raises UsageError, ModelError, StorageError.
    """
    cv2.setNumThreads(1)
    selected = select_conditions(load_conditions(settings.data), settings.conditions)
    deblurrers = methods.deblurrer_factories(settings.backend, settings.network)
    names = methods.select_methods(settings.methods, deblurrers)
    network = methods.describe_network(names, settings.backend, settings.network)
    with download_bar() as downloads:
        detector = YuNet(load(fetch("yunet", progress=downloads), settings.backend), min_confidence=IN_VIDEO)
    split = load_split(settings.data, settings.split, detector, settings.every)
    terminal.make_writable_folder(out)
    embedder = reference_embedders.load_judge(judge, settings.backend)
    run_record = record_run([settings.data / settings.split / ARCHIVE], settings.seed, embedder.backend)
    enrolled = Enrolled.of(split, embedder)
    experiment = Identification(split, enrolled, embedder, detector, names, deblurrers, settings.seed)
    results = _run(experiment, selected, alignments)
    threshold = fixed_threshold(embedder, len(enrolled.people), settings, detector)
    tables = [_table(_TITLES[alignment], each, threshold, settings.seed) for alignment, each in results.items()]
    run_record = replace(run_record, notes=(*network, *_notes(split, embedder, threshold), *_detection_notes(results)))
    output_folder.write(out, TITLE, tables, run_record, _plots(results))
    return to_markdown(TITLE, tables, run_record)


def _run(
    experiment: Identification, selected: Sequence[Condition], alignments: Sequence[Alignment]
) -> dict[Alignment, dict[str, ConditionResult]]:
    results: dict[Alignment, dict[str, ConditionResult]] = {alignment: {} for alignment in alignments}
    work = partial(experiment.run, alignments=alignments)
    with terminal.progress() as progress:
        task = progress.add_task("identify", total=len(selected))
        for condition, by_alignment in zip(selected, run_parallel(work, selected), strict=True):
            for alignment, result in by_alignment.items():
                results[alignment][condition.name] = result
            progress.advance(task)
    return results


def fixed_threshold(judge: ReferenceEmbedder, people: int, settings: Settings, detector: Detector) -> float:
    """Return the product's threshold for so many enrolled people; for a judge without a rule, the score that 1 % of
    val's sharp non-mated photographs exceed."""
    if judge.threshold is not None:
        return judge.threshold(people)
    val_split = load_split(settings.data, "val", detector, settings.every)
    crops = [align(each.image, each.landmarks)[0] for each in val_split.non_mated]
    return threshold_at(Enrolled.of(val_split, judge).scores(judge.embed(crops)), 0.01)


def _notes(split: DatasetSplit, judge: ReferenceEmbedder, threshold: float) -> list[str]:
    rule = "threshold_for" if judge.threshold else "what 1 % of val's sharp non-mated exceed"
    non_mated = len({each.person for each in split.non_mated})
    return [
        f"judge: {judge.name}; similarity to a person: the best cosine over the person's gallery photographs",
        f"{len(split.people)} people with {len(split.gallery)} gallery photographs and {len(split.probes)} probes;"
        f" {non_mated} non-mated people with {len(split.non_mated)} photographs;"
        f" {split.faceless} photographs without a face",
        f"fixed threshold: {threshold:.3f} ({rule}); gained, lost, turned wrong: probes named rightly at it by this row"
        " and not raw, raw and not by this row, and, of these, named as another person",
    ]


def _detection_notes(results: Mapping[Alignment, ConditionResults]) -> list[str]:
    shares = [f"{name} {each.detected_share:.3f}" for name, each in results.get("blurred", {}).items()]
    return [f"share of faces found on the blurred photographs: {', '.join(shares)}"] if shares else []


def _table(title: str, results: ConditionResults, threshold: float, seed: int) -> Table:
    table = Table(title, _COLUMNS)
    for blur, result in results.items():
        for row, trial in result.trials.items():
            changes = {} if row == RAW else _compare_with_raw(result.trials[RAW], trial, threshold)
            table.rows.append({"blur": blur, "method": row, **trial.rates(threshold, seed), **changes})
    return table


def _compare_with_raw(raw: OpenSetTrial, restored: OpenSetTrial, threshold: float) -> dict[str, Cell]:
    before, after = raw.named(threshold), restored.named(threshold)
    right_before, right_after = before == raw.labels, after == raw.labels
    return {
        "gained": int((~right_before & right_after).sum()),
        "lost": int((right_before & ~right_after).sum()),
        "wrong": int((right_before & ~right_after & (after >= 0)).sum()),
    }


def _plots(results_by_alignment: Mapping[Alignment, ConditionResults]) -> dict[str, output_folder.Draw]:
    plot_files: dict[str, output_folder.Draw] = {}
    for alignment, results in results_by_alignment.items():
        curves = {blur: {row: trial.curve() for row, trial in each.trials.items()} for blur, each in results.items()}
        plot_files[f"dir-fpir-{alignment}"] = partial(plots.draw_curves, curves)
        for blur, each in results.items():
            plot_files[f"sheet-{alignment}-{blur}"] = partial(plots.draw_contact_sheet, each.sheet)
    return plot_files
