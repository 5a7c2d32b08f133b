"""Log output: the program's entries and the warnings of libraries, on standard error."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

from unblur.terminal import Terminal, messages, printable


def open_log() -> None:
    """Configure structlog to write to the current standard error; above a progress bar while one is drawn."""
    stream = cast(TextIO, _StandardError())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            _clean,
            structlog.dev.ConsoleRenderer(colors=_colored(messages())),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(stream),
    )


def _colored(console: Terminal) -> bool:
    return console.can_redraw and not console.no_color


def _clean(_: object, __: str, entry: structlog.types.EventDict) -> structlog.types.EventDict:
    return {key: printable(value) if isinstance(value, str) else value for key, value in entry.items()}


class _StandardError(io.TextIOBase):
    """Stream that writes to the current `sys.stderr`; a log entry that cannot be written raises no error."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()
