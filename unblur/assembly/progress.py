"""What the terminal shows while cameras run: a bar with the time left for recordings, a line for live cameras."""

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
"""Cells of a terminal: on a narrower one, a line does not say how long it took."""


class ProgressDisplay:
    """One line for each camera, on standard error; silent if `quiet`, or if nobody looks at a terminal. Scenes may come
    from several threads."""

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

    def expect(self, sources: Sequence[Source]) -> None:
        """The cameras whose scenes will come."""
        self._lines = {source.camera: _Line(self._progress, source) for source in sources}

    def note(self, scene: AnnotatedFrame) -> None:
        self._lines[scene.frame.camera].note(scene)

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()


class _StatusColumn(ProgressColumn):
    """What a camera's line says now, also while no picture comes."""

    def render(self, task: Task) -> Text:
        line: _Line = task.fields["line"]
        return Text(line.said())


class _Line:
    """One camera's. Rich draws it from a thread of its own, and for the first time while it is added."""

    def __init__(self, progress: Progress, source: Source) -> None:
        self._progress = progress
        self._source = source
        self._first_s: float | None = None
        self._frames = self._faces = 0
        self._began = 0.0
        total = source.duration_s if isinstance(source, RecordedSource) else None
        self._task = progress.add_task(source.camera, total=total, start=False, line=self)

    def note(self, scene: AnnotatedFrame) -> None:
        if self._first_s is None:
            self._first_s, self._began = scene.frame.pts_s, time.monotonic()
            self._progress.start_task(self._task)
        self._frames += 1
        self._faces = len(scene.tracks)
        self._progress.update(self._task, completed=scene.frame.pts_s - self._first_s)

    def said(self) -> str:
        if isinstance(self._source, Live):
            state = self._source.status()
            return f"{state.state}, {state.fps:.0f} fps, {self._faces} faces, {state.dropped} dropped"
        elapsed = time.monotonic() - self._began
        return f"{self._frames / elapsed:.0f} fps, {self._faces} faces" if self._frames and elapsed else "waiting"
