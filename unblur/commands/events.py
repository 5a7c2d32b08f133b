"""`unblur events`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.schema import load
from stream.values import EventType
from unblur.commands.options import ConfigOption, Format
from unblur.terminal import Results

app = typer.Typer(help="Look into an event log or store.", no_args_is_help=True)

PersonOption = Annotated[str | None, typer.Option(help='A name, or "unknown".')]
CameraOption = Annotated[str | None, typer.Option(help="A camera's name.")]
SinceOption = Annotated[str | None, typer.Option(help="From 2026-01-31T18:00:00Z on, or from a second of media time.")]
UntilOption = Annotated[str | None, typer.Option(help="Up to this time, likewise.")]
TypeOption = Annotated[EventType | None, typer.Option(help="Only events of this type.")]
LogArgument = Annotated[str, typer.Argument(help="An event log (a file), or a store as sqlite:///FILE.")]


@app.command("list")
def list_events(
    log: LogArgument,
    person: PersonOption = None,
    camera: CameraOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    type: TypeOption = None,
) -> None:
    """Show events as a table."""
    from unblur.events import show, wanted

    show(log, wanted(person, camera, since, until, type))


@app.command("export")
def export_events(
    log: LogArgument,
    format: Annotated[Format, typer.Option(help="JSON, one object a line, or CSV.")] = "json",
    out: Annotated[Path | None, typer.Option(help="A file; standard output if not given.")] = None,
    person: PersonOption = None,
    camera: CameraOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    type: TypeOption = None,
) -> None:
    """Write events as JSON lines or CSV."""
    from unblur.events import export, wanted

    export(log, wanted(person, camera, since, until, type), format, out)


@app.command("verify")
def verify_events(
    evidence: Annotated[Path, typer.Argument(help="The folder that a run kept its evidence in.")],
    log: Annotated[
        list[str] | None, typer.Option(help="An event log, or a store as sqlite:///FILE, to compare.")
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="A public key to trust, kept elsewhere (signer-….pem).")
    ] = None,
) -> int:
    """Find every changed, missing or inserted event, bundle or picture; exit status 1 if there is any."""
    from unblur.verification import verify

    return verify(evidence, log or [], key or [])


@app.command("crops")
def decrypt_crops(
    evidence: Annotated[Path, typer.Argument(help="A folder of evidence, its pictures encrypted.")],
    out: Annotated[Path, typer.Option(help="The folder for the pictures as they are.")],
    config: ConfigOption = None,
) -> None:
    """Write the pictures of evidence decrypted, with the key that the configuration names (encryption.key)."""
    from unblur.assemble import Parts
    from unblur.crops import decrypt

    Results().say(f"{decrypt(evidence, out, Parts(load(config, {})).cipher)} pictures written to {out}")
