"""`unblur bench`: speed and memory compared with a plain loop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import unblur
from stream.errors import UsageError
from unblur.commands.options import Command, command_app, examples
from unblur.evaluate.experiments.speed import bench as measure_speed
from unblur.terminal import Results

app = command_app()


@app.command(
    cls=Command,
    epilog=examples("unblur bench --data ../shared/data", "unblur bench --data ../shared/data --minutes 10"),
)
def bench(
    data: Annotated[Path, typer.Option(help="A folder laid out like the project's shared data.")],
    minutes: Annotated[
        float, typer.Option(min=0, max=100_000, help="Also run this many minutes of footage and watch the memory.")
    ] = 0,
) -> None:
    """Measure speed and memory against a plain loop.

    Runs both over the same simulated clip. Needs a checkout.
    """
    if (Path(unblur.__file__).parent / "stream").is_dir():
        raise UsageError("`unblur bench` needs a checkout: it is not for the installed program")
    if not (data / "val").is_dir():
        raise UsageError(f"{data} is not laid out like the project's shared data: there is no folder val in it")
    Results().show(measure_speed(data, minutes))
