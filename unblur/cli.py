"""The command line: loads commands on demand and turns errors into messages and exit statuses.

A command's module is imported when the command is used: `unblur --help` imports none of them.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
from typer.exceptions import TyperException

from configs.errors import ConfigError
from models.errors import ModelError
from stream.errors import UnblurError
from unblur import __version__

SUMMARIES = {
    "run": "Name the faces of cameras or footage, and log who was seen.",
    "serve": "Serve the web application: live view, events, people.",
    "demo": "Try it on a simulated camera.",
    "enroll": "Add people to a gallery from folders of photos.",
    "fit": "Fit an embedder to the photos of your own people.",
    "calibrate": "Choose the threshold of a gallery.",
    "image": "Restore photos and name the faces on them.",
    "forget": "Remove a person, or what has expired, for good.",
    "bench": "Measure speed and memory against a plain loop.",
    "train": "Train the deblurring network; resumes a stopped run.",
    "export": "Write networks as ONNX files and TensorRT plans.",
    "doctor": "Check what is installed, what is missing, and how to add it.",
    "events": "Inspect an event log or store.",
    "evaluate": "Measure restoration, identification and video runs.",
    "users": "Manage the accounts of the web application.",
}
"""Summary of each command, in the order of the help; its module in `unblur.commands` has the same name."""
_INTERRUPTED = 130
"""The exit status that typer returns after Ctrl-C."""


class _Commands(Mapping[str, Any]):
    """Commands by name, each imported on access; `on_loaded` is called after the import."""

    def __init__(self, on_loaded: Callable[[], None] = lambda: None) -> None:
        self._on_loaded = on_loaded

    def __getitem__(self, name: str) -> Any:
        if name not in SUMMARIES:
            raise KeyError(name)
        command = typer.main.get_command(importlib.import_module(f"unblur.commands.{name}").app)
        self._on_loaded()
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


class _Group(typer.core.TyperGroup):
    """The command group `unblur`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(SUMMARIES)

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


app = typer.Typer(
    cls=_Group,
    name="unblur",
    help="Finds faces in live and recorded video, restores the blurred ones and says who they are, or says unknown.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unblur {__version__}")
        raise typer.Exit


@app.callback()
def _prepare(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    from unblur.log_output import open_log

    open_log()


def main(arguments: list[str] | None = None, on_loaded: Callable[[], None] = lambda: None) -> int:
    """Run one command and return its exit status. An error becomes one line on standard error, never a traceback.
    `on_loaded` is called when the command's module has been imported."""
    from unblur.signals import ignore_hangup_of_services, status_of_interruption

    ignore_hangup_of_services()
    _prepare_streams()
    try:
        expanded_arguments = [_expand_home(each) for each in (sys.argv[1:] if arguments is None else arguments)]
        # Calling `app` directly would replace the excepthook of `unblur.crash_reports` by typer's.
        group = typer.main.get_command(app)
        group.commands = _Commands(on_loaded)  # type: ignore[attr-defined]
        status = group(expanded_arguments, standalone_mode=False)
    except TyperException as error:
        _complain(" ".join(error.format_message().split()))
        return int(error.exit_code)
    except (UnblurError, ModelError, ConfigError) as error:
        _complain(str(error))
        return error.exit_status
    if status == _INTERRUPTED:
        _complain("interrupted")
        return status_of_interruption()
    return status if isinstance(status, int) else 0


def _prepare_streams() -> None:
    """Make the standard streams escape characters that they cannot encode, so that none ends a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _expand_home(argument: str) -> str:
    """Expand a ~ that shells leave alone, as in --store=~/events, to the home folder."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{Path(value).expanduser()}" if value.startswith("~/") else argument


def _complain(message: str) -> None:
    from unblur.commands.options import complain

    complain(message)
