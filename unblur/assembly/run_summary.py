"""Run the cameras to their end and print a summary of the people who were seen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from configs.schema import Config
from stream.metrics import MetricsSnapshot
from stream.results import Event
from stream.storage import process_resources
from unblur.assembly.outputs import MakeLiveView
from unblur.assembly.pipeline_run import Run, assemble
from unblur.assembly.progress import ProgressDisplay
from unblur.signals import end_in_order
from unblur.terminal import messages, table

_LOSSES = {
    "frames dropped": "frames dropped",
    "pictures dropped": "images not shown",
    "looks dropped": "faces not identified",
    "crops passed over": "skipped",
    "tracks forgotten": "tracks forgotten",
    "pictures not shown": "images not shown in the window",
    "reconnections": "reconnects",
}
"""Counters of what was left out, and their words in the summary."""


@dataclass(slots=True)
class SummaryRow:
    """First and last media time in seconds of a person at a camera, and the number of their tracks."""

    first_s: float
    last_s: float
    tracks: int = 0


class RunSummary:
    """Event sink that summarizes who was seen: one row per camera and name."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str | None], SummaryRow] = {}

    def write(self, event: Event) -> None:
        if event.type == "end":
            key = (event.camera, event.identity.name)
            row = self.rows.setdefault(key, SummaryRow(event.first_pts_s, event.pts_s))
            row.last_s = max(row.last_s, event.pts_s)
            row.tracks += 1

    def close(self) -> None:
        """Nothing to close."""


def run_to_end(
    config: Config, make_live_view: MakeLiveView | None = None, on_assembled: Callable[[Run], None] = lambda _: None
) -> None:
    """Run the cameras to their end, or until interrupted; events are logged, and a summary of who was seen is printed.

    `make_live_view` is for `assemble`; `on_assembled` is called before the run starts. Raises UsageError, ModelError.
    """
    config.web.require_guarded()
    process_resources.share()
    process_resources.raise_open_file_limit()
    end_in_order()  # a stopped service also ends its log properly
    summary = RunSummary()
    with ExitStack() as stack:
        display = ProgressDisplay(config.output.quiet)
        run = assemble(config, stack, display.update, summary, make_live_view=make_live_view)
        display.add_cameras(run.sources)
        on_assembled(run)
        try:
            with display:  # nothing else may print while the bar is drawn
                run.start()
        finally:
            if not config.output.quiet:
                stack.callback(_print_summary, summary, run.snapshot())


def _print_summary(summary: RunSummary, metrics: MetricsSnapshot) -> None:
    console = messages()
    people = table("camera", "who", "first seen", "last seen", "tracks")
    for (camera, name), row in sorted(summary.rows.items(), key=lambda item: (item[0][0], item[1].first_s)):
        people.add_row(camera, name or "unknown", _clock(row.first_s), _clock(row.last_s), str(row.tracks))
    if summary.rows:
        console.print(people)
    counts = metrics.counts
    totals = [
        f"{counts.get('frames', 0)} frames",
        f"{counts.get('crops', 0)} faces examined",
        f"{counts.get('restored', 0)} restored",
    ]
    totals += [f"{counts[what]} {words}" for what, words in _LOSSES.items() if counts.get(what)]
    console.say(", ".join(totals) if summary.rows else f"Nobody was seen: {', '.join(totals)}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{rest:04.1f}"
