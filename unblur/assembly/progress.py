"""Progress display of a run: for recordings a bar with the remaining time, for live cameras a status line."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.progress import Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from stream.interfaces import Source
from stream.results import AnnotatedFrame
from stream.sources.factory import Live
from stream.sources.recorded import RecordedSource
from unblur.terminal import bar, gauge, messages

_ROOMY = 60
"""Terminal cells; on a narrower terminal the elapsed time is left out."""


class ProgressDisplay:
    """One line per camera on standard error; disabled if `quiet`, or if standard error is no terminal. Thread-safe."""

    def __init__(self, quiet: bool) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            gauge(),
            _StatusColumn(Column(no_wrap=True)),
            *([TimeElapsedColumn()] if messages().width >= _ROOMY else []),
            TimeRemainingColumn(),
        )
        self._progress = bar(*columns, quiet=quiet)
        self._lines: dict[str, _Line] = {}

    def add_cameras(self, sources: Sequence[Source]) -> None:
        """Add a line for each camera of the run."""
        self._lines = {source.camera: _Line(self._progress, source) for source in sources}

    def update(self, frame: AnnotatedFrame) -> None:
        self._lines[frame.frame.camera].update(frame)

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()


class _StatusColumn(ProgressColumn):
    """The current status of a camera, also while no frame arrives."""

    def render(self, task: Task) -> Text:
        line: _Line = task.fields["line"]
        return Text(line.text())


class _Line:
    """One camera's line. Rich draws it on its own thread, for the first time inside `add_task`."""

    def __init__(self, progress: Progress, source: Source) -> None:
        self._progress = progress
        self._source = source
        self._first_s: float | None = None
        self._frames = self._faces = 0
        self._began = 0.0
        total = source.duration_s if isinstance(source, RecordedSource) else None
        self._task = progress.add_task(source.camera, total=total, start=False, line=self)

    def update(self, frame: AnnotatedFrame) -> None:
        if self._first_s is None:
            self._first_s, self._began = frame.frame.pts_s, time.monotonic()
            self._progress.start_task(self._task)
        self._frames += 1
        self._faces = len(frame.tracks)
        self._progress.update(self._task, completed=frame.frame.pts_s - self._first_s)

    def text(self) -> str:
        if isinstance(self._source, Live):
            state = self._source.status()
            return f"{state.state}, {state.fps:.0f} fps, {self._faces} faces, {state.dropped} dropped"
        elapsed = time.monotonic() - self._began
        return f"{self._frames / elapsed:.0f} fps, {self._faces} faces" if self._frames and elapsed else "waiting"
