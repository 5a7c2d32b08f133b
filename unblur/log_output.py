"""The log: entries of the program and warnings of libraries, on standard error."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

from unblur.terminal import Terminal, messages, printable


def open_log() -> None:
    """Send the log, and the warnings of libraries, to standard error, whatever that is at the moment: while a bar is
    drawn, above it."""
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
    """Writes to what `sys.stderr` is when it writes; an entry of the log that cannot be written ends no work."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()
