"""The commands. Each one reads its arguments, hands them to the room that does the work, and says what came of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.exceptions import TyperException

from configs.schema import Config, ConfigError, load
from models.errors import ModelError
from stream.errors import UnblurError

app = typer.Typer(
    name="unblur",
    help="Finds faces in live and recorded video, restores the blurred ones, and says who they are or that they are unknown.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
events_app = typer.Typer(help="Look into an event log or store.", no_args_is_help=True)
app.add_typer(events_app, name="events")

_INTERRUPTED = 130


def run(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status. An error is one line on standard error, never a traceback."""
    try:
        status = app(arguments, standalone_mode=False)
    except TyperException as error:
        _complain(error.format_message())
        return int(error.exit_code)
    except (UnblurError, ModelError, ConfigError) as error:
        _complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        _complain("interrupted")
        return _INTERRUPTED
    return status if isinstance(status, int) else 0


def _complain(message: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"unblur: {message}")
