"""Terminal output: results on standard output, everything else on standard error; all text is escaped for the terminal
here."""

from __future__ import annotations

import codecs
import json
import os
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from stream.errors import OutputError, StorageError
from stream.events.jsonl_log import to_line

_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They change the order of the rest of a line (Unicode Technical Report 36, "Bidirectional text spoofing")."""
_DUMB = frozenset({"", "dumb", "unknown"})
"""Values of TERM for terminals that cannot move their cursor."""


def printable(text: str, keep: str = "") -> str:
    """Escape, as Python does, the characters that could break a line or control a terminal, except those in `keep`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if _is_control(char) and char not in keep else char for char in text)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _CONTROLS or char in _DIRECTIONS


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()


class Terminal(Console):
    """Console for human readers. Text never controls the terminal and is never read as markup or emoji."""

    def __init__(self, *, stderr: bool) -> None:
        # Rich knows TERM=dumb, but assumes that a terminal with an empty TERM supports everything.
        colors: Literal["auto"] | None = None if os.environ.get("TERM", "").lower() in _DUMB else "auto"
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, color_system=colors)

    def say(self, line: str) -> None:
        """Print one line, without wrapping it."""
        self.print(printable(line), soft_wrap=True)

    def show(self, text: str) -> None:
        """Print each line of a text, without wrapping."""
        for line in text.splitlines():
            self.say(line)

    def render_str(self, text: str, **how: Any) -> Text:
        """Escape the text, then render it as rich does, both for measuring and for printing."""
        return super().render_str(printable(text, keep="\n\t"), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does; text that did not pass through `render_str` is escaped here."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text, keep="\n\t"), style, control)

    @property
    def can_redraw(self) -> bool:
        """Whether a line can be redrawn: only on a terminal that can move its cursor."""
        return self.is_terminal and self.color_system is not None


class Messages(Terminal):
    """Standard error: progress and errors."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as rich does; a message that cannot be written raises no error."""
        with suppress(OSError):
            super().print(*objects, **how)

    def on_broken_pipe(self) -> None:
        """Discard further messages: the pipe is closed."""
        self.quiet = True
        _discard(2)


class Results(Terminal):
    """Standard output: results."""

    def __init__(self) -> None:
        super().__init__(stderr=False)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as rich does. Raises StorageError if it cannot be written; a closed pipe is no error."""
        with standard_output():
            super().print(*objects, **how)

    def on_broken_pipe(self) -> None:
        """Discard further results: the pipe is closed."""
        self.quiet = True
        _discard(1)


def json_encoder(stream: TextIO) -> Callable[[Mapping[str, object]], str]:
    """Return a function that encodes an object as one line of JSON, without the line feed: in UTF-8, or in ASCII if
    the stream has another encoding (RFC 8259, "Character Encoding")."""
    if codecs.lookup(stream.encoding or "utf-8").name == "utf-8":
        return to_line
    return partial(json.dumps, separators=(",", ":"), allow_nan=False)


def table(*headings: str) -> Table:
    """Make a table without lines; on a narrow terminal its cells are folded, not cut."""
    return Table(*(Column(heading, overflow="fold") for heading in headings), box=None, pad_edge=False)


def row(cells: Iterable[object], widths: Iterable[int]) -> str:
    """Format a line of a table that is printed row by row. `widths` are in terminal cells; a text that is longer than
    its column pushes the rest of the line to the right."""
    texts = [printable(str(cell)) for cell in cells]
    padded = [text + " " * (width - cell_len(text)) for text, width in zip(texts, widths, strict=True)]
    return "  ".join(padded).rstrip()


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Standard output, flushed at the end. Raises StorageError where it cannot be written; a closed pipe, as after
    `head`, is no error: the rest is discarded."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError as error:
        _discard(1)
        if not isinstance(error, BrokenPipeError):
            raise StorageError(f"cannot write to standard output: {error.strerror}; make room and try again") from error


def _discard(descriptor: int) -> None:
    """Redirect a closed pipe to the null device: Python would try to flush it again at exit, and print an error
    (docs.python.org/3/library/signal.html)."""
    null_device = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_device, descriptor)
    os.close(null_device)


@cache
def messages() -> Messages:
    """The process's only console for standard error: rich can nest bars and print above them on one console only."""
    return Messages()


@contextmanager
def show_activity(what: str) -> Iterator[None]:
    """Show `what` while work of unknown duration runs: with a spinner, or as one line if the terminal has none."""
    console = messages()
    if console.can_redraw:
        with console.status(what):
            yield
    else:
        console.say(f"{what} …")
        yield


def download_bar() -> Progress:
    """Make the progress bar for downloads."""
    name = TextColumn("{task.description}", table_column=Column(overflow="ellipsis"))
    return bar(name, gauge(), DownloadColumn(table_column=Column(no_wrap=True)), TimeRemainingColumn())


def gauge() -> BarColumn:
    """Make the growing column of a progress bar: as wide as the terminal allows, up to 40 cells."""
    return BarColumn(bar_width=None, table_column=Column(max_width=40))


def bar(*columns: ProgressColumn, quiet: bool = False) -> Progress:
    """Make a progress bar on standard error that is removed at its end; disabled if `quiet`, or if standard error is no
    terminal that can redraw lines. Standard output is redirected above it only if it is a terminal, too."""
    console = messages()
    return _Bar(
        *columns,
        console=console,
        transient=True,
        disable=quiet or not console.can_redraw,
        redirect_stdout=sys.stdout.isatty(),
    )


class _Bar(Progress):
    """Progress bar that is removed if it is interrupted while it is drawn for the first time."""

    def start(self) -> None:
        """Start as rich does, and stop on an interruption: rich alone would leave the cursor hidden."""
        with ExitStack() as undo:
            undo.callback(self.stop)
            super().start()
            undo.pop_all()


def make_writable_folder(out: Path) -> Path:
    """Create the folder if missing and return it. Raises OutputError if it cannot be written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise OutputError(f"cannot write to the folder {out}: {error.strerror}") from error
    return out


def progress() -> Progress:
    """Make a progress bar with count and times; disabled if standard error is no terminal."""
    return bar(
        TextColumn("{task.description}"),
        gauge(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
