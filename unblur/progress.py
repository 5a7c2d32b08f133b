"""What the terminal shows while cameras run: a bar with the time left for recordings, a line for live cameras."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from stream.pipeline import Scene
from stream.replay import Replay
from stream.stages import Source

_REFRESH_S = 0.2


class Display:
    """One line for each camera, on standard error; silent if `quiet`, or if nobody looks at a terminal. Scenes may come
    from several threads."""

    def __init__(self, quiet: bool) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        self._progress = Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
        self._lines: dict[str, _Line] = {}

    def expect(self, sources: Sequence[Source]) -> None:
        """The cameras whose scenes will come."""
        self._lines = {source.camera: _Line(self._progress, source) for source in sources}

    def note(self, scene: Scene) -> None:
        self._lines[scene.frame.camera].note(scene)

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()


class _Line:
    def __init__(self, progress: Progress, source: Source) -> None:
        self._progress = progress
        self._total = source.duration_s if isinstance(source, Replay) else None
        self._task: TaskID = progress.add_task(source.camera, total=self._total, start=False, told="waiting")
        self._first_s: float | None = None
        self._frames = 0
        self._began = self._told_at = 0.0

    def note(self, scene: Scene) -> None:
        now = time.monotonic()
        if self._first_s is None:
            self._first_s, self._began = scene.frame.pts_s, now
            self._progress.start_task(self._task)
        self._frames += 1
        if now - self._told_at >= _REFRESH_S:
            self._told_at = now
            rate = self._frames / max(now - self._began, _REFRESH_S)
            told = f"{rate:.0f} fps, {len(scene.tracks)} faces"
            self._progress.update(self._task, completed=scene.frame.pts_s - self._first_s, told=told)
