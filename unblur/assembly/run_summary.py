"""A run to its end, and the summary of who was seen."""

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

_LOSSES = (
    "frames dropped",
    "pictures dropped",
    "looks dropped",
    "crops passed over",
    "tracks forgotten",
    "pictures not shown",
    "reconnections",
)


@dataclass(slots=True)
class SummaryRow:
    """When somebody was before a camera, in seconds of media time, and in how many tracks."""

    first_s: float
    last_s: float
    tracks: int = 0


class RunSummary:
    """Who was seen, from the events as they are logged; as long as the list of names and cameras."""

    def __init__(self) -> None:
        self.visits: dict[tuple[str, str | None], SummaryRow] = {}

    def write(self, event: Event) -> None:
        if event.type == "end":
            key = (event.camera, event.identity.name)
            visit = self.visits.setdefault(key, SummaryRow(event.first_pts_s, event.pts_s))
            visit.last_s = max(visit.last_s, event.pts_s)
            visit.tracks += 1

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
    end_in_order()  # a service that is stopped ends its log like any other
    roster = RunSummary()
    with ExitStack() as stack:
        display = ProgressDisplay(config.output.quiet)
        run = assemble(config, stack, display.note, roster, make_live_view=make_live_view)
        display.expect(run.sources)
        on_assembled(run)
        try:
            with display:  # from here on, nothing else is printed
                run.start()
        finally:
            if not config.output.quiet:
                stack.callback(_print_summary, roster, run.snapshot())


def _print_summary(roster: RunSummary, reading: MetricsSnapshot) -> None:
    console = messages()
    summary = table("camera", "who", "first seen", "last seen", "tracks")
    for (camera, name), visit in sorted(roster.visits.items(), key=lambda item: (item[0][0], item[1].first_s)):
        summary.add_row(camera, name or "unknown", _clock(visit.first_s), _clock(visit.last_s), str(visit.tracks))
    if roster.visits:
        console.print(summary)
    counts = reading.counts
    said = [
        f"{counts.get('frames', 0)} frames",
        f"{counts.get('crops', 0)} crops, {counts.get('restored', 0)} restored",
    ]
    said += [f"{counts[what]} {what}" for what in _LOSSES if counts.get(what)]
    console.say("; ".join(said) if roster.visits else f"nobody was seen; {'; '.join(said)}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{rest:04.1f}"
