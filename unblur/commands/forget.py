"""`unblur forget`: erases a person, expired data, or the demo's data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.loader import load
from stream.errors import UsageError
from unblur.commands.demo_cleanup import forget_demo
from unblur.commands.options import Command, ConfigOption, GalleryOption, command_app, drop_unset, examples
from unblur.privacy.erasure import forget_in

app = command_app()


@app.command(
    cls=Command,
    epilog=examples(
        'unblur forget "Ann Lee" --data ~/.local/share/unblur',
        'unblur forget "Ann Lee" -g people.joblib --log events.jsonl',
        "unblur forget --expired -c unblur.yaml",
    ),
)
def forget(
    person: Annotated[
        str | None, typer.Argument(metavar="PERSON", help="The name, as it stands in the gallery and the log.")
    ] = None,
    gallery: GalleryOption = None,
    log: Annotated[list[Path] | None, typer.Option(help="An event log; rotated logs next to it go with it.")] = None,
    store: Annotated[list[str] | None, typer.Option(help="An event store, as sqlite:///FILE.")] = None,
    evidence: Annotated[Path | None, typer.Option(help="A folder of evidence.")] = None,
    data: Annotated[Path | None, typer.Option(help="All that `unblur serve` keeps in this folder.")] = None,
    expired: Annotated[bool, typer.Option("--expired", help="Forget what retention no longer allows.")] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="Forget what an earlier version kept of its demo among your own records.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Remove a person, or what has expired, for good.

    Takes it out of the gallery, logs, evidence and data folder, and lists what may remain.
    """
    overrides = {
        "recognition": drop_unset(gallery=gallery),
        "output": drop_unset(evidence=evidence),
        "serve": drop_unset(data=data),
    }
    settings, logs, stores = load(config, overrides), [str(path) for path in log or []], store or []
    if [person is not None, expired, demo].count(True) != 1:
        raise UsageError("name a person, or give --expired, or --demo, and only one of them")
    if demo:
        forget_demo(settings, logs, stores)
    else:
        forget_in(settings, person, logs, stores)
