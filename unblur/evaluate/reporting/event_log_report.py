"""`unblur evaluate video EVENTS TRUTH`: scores one event log against its clip's ground truth, as a table row."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from stream.simulation.ground_truth import GroundTruth
from unblur.evaluate.reporting.tables import Cell, Column, Table
from unblur.evaluate.scoring.event_log import LogVerdict, Score, read_events, score

_COLUMNS = (
    *(Column(verdict, f"known people {verdict}") for verdict in get_args(LogVerdict)),
    Column("non_mated_wrong", "non-mated named"),
    Column("non_mated_missed", "non-mated missed"),
    Column("name_changes", "name changes"),
    Column("seconds_to_name", "median s to name", ".2f"),
    Column("start_error", "median start error s", ".2f"),
    Column("end_error", "median end error s", ".2f"),
    Column("stray", "stray tracks"),
)


def evaluate(events: Path, truth: Path) -> str:
    """Return the log's table, as Markdown. Raises SourceError if log or ground truth cannot be read."""
    cells = summarize(score(read_events(events), GroundTruth.load(truth)))
    return Table("Appearances", _COLUMNS, [cells]).to_markdown() + "\n"


def summarize(result: Score) -> dict[str, Cell]:
    """Count over appearances, and take medians of those that have the value (None if none has)."""
    outcomes = result.outcomes
    return {
        **{verdict: result.count(verdict, known=True) for verdict in get_args(LogVerdict)},
        **{f"non_mated_{verdict}": result.count(verdict, known=False) for verdict in ("wrong", "missed")},
        "name_changes": sum(one.name_changes for one in outcomes),
        "seconds_to_name": _median(one.seconds_to_name for one in outcomes),
        "start_error": _median(one.start_error for one in outcomes),
        "end_error": _median(one.end_error for one in outcomes),
        "stray": len({(event.camera, event.track) for event in result.stray}),
    }


def _median(values: Iterable[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return statistics.median(given) if given else None
