"""`unblur export`: writes networks as ONNX files and TensorRT plans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.assets import cache, manifest
from models.backends.tensorrt_plans import LIBRARIES
from models.errors import ModelError
from models.export import Written, write_onnx, write_plan
from stream.errors import OutputError
from unblur.commands.options import Command, command_app, examples
from unblur.terminal import Results

app = command_app()


@app.command(cls=Command, epilog=examples("unblur export -o out", "unblur export -o out --network deblur.onnx"))
def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the files.")],
    network: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="An ONNX file; without it all that this project trained."),
    ] = None,
) -> None:
    """Write networks as ONNX files and TensorRT plans.

    Plans are built where TensorRT is installed.
    """
    export_networks(network, out)


def export_networks(network: Path | None, folder: Path) -> None:
    """Write a network as ONNX in both precisions and as a plan for every installed TensorRT; all networks that come
    with unblur if `network` is None.

    Raises ModelError, OutputError.
    """
    try:
        for source in [network] if network else _trained():
            _export(source, folder)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from error


def _trained() -> list[Path]:
    """The paths of the networks that come with unblur. Raises ModelError if there are none, or one is not the pinned
    file."""
    networks = manifest.trained()
    if not networks:
        raise ModelError("no trained network comes with this version: give one with --network FILE")
    for network in networks:
        if not cache.matches_manifest(network):
            raise ModelError(f"{network.path} is missing, or not the file that was pinned: install unblur again")
    return [network.path for network in networks]


def _export(network: Path, folder: Path) -> None:
    for written in write_onnx(network, folder):
        _report(written)
    for library in LIBRARIES:
        try:
            _report(write_plan(library, network, folder))
        except ModelError as error:
            Results().say(f"no plan of {library}: {error}")


def _report(written: Written) -> None:
    Results().say(f"{written.file}: {written.summary}")
