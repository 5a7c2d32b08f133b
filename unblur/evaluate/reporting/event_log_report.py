"""`unblur evaluate video`: an event log against a simulated clip's truth, in one line of a table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from stream.simulation.ground_truth import GroundTruth
from unblur.evaluate.reporting.tables import Cell, Column, Table
from unblur.evaluate.scoring.event_log import Score, Verdict, read_events, score

_COLUMNS = (
    *(Column(verdict, f"known people {verdict}") for verdict in get_args(Verdict)),
    Column("strangers_wrong", "strangers named"),
    Column("strangers_missed", "strangers missed"),
    Column("name_changes", "name changes"),
    Column("seconds_to_name", "median s to name", ".2f"),
    Column("start_error", "median start error s", ".2f"),
    Column("end_error", "median end error s", ".2f"),
    Column("stray", "stray tracks"),
)


def evaluate(events: Path, truth: Path) -> str:
    """The log's table, as Markdown. Raises SourceError if log or truth cannot be read."""
    cells = summary(score(read_events(events), GroundTruth.load(truth)))
    return Table("Appearances", _COLUMNS, [cells]).markdown() + "\n"


def summary(result: Score) -> dict[str, Cell]:
    """Counts over appearances, and medians over those that have the figure (None if none has)."""
    outcomes = result.outcomes
    return {
        **{verdict: result.count(verdict, known=True) for verdict in get_args(Verdict)},
        **{f"strangers_{verdict}": result.count(verdict, known=False) for verdict in ("wrong", "missed")},
        "name_changes": sum(one.name_changes for one in outcomes),
        "seconds_to_name": _median(one.seconds_to_name for one in outcomes),
        "start_error": _median(one.start_error for one in outcomes),
        "end_error": _median(one.end_error for one in outcomes),
        "stray": len({(event.camera, event.track) for event in result.stray}),
    }


def _median(values: Iterable[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return statistics.median(given) if given else None
