"""What is printed: results on standard output, everything else on standard error; the one place where text is made fit
for a terminal."""

from __future__ import annotations

import codecs
import io
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
"""They turn the order of all that follows on a line (Unicode Technical Report 36, "Bidirectional text spoofing")."""
_DUMB = frozenset({"", "dumb", "unknown"})
"""Kinds of terminal that cannot move their cursor, as TERM names them."""


def printable(text: str, keep: str = "") -> str:
    """Text in which nothing can break a line or steer a terminal: what could is written as Python would escape it, but
    for the characters in `keep`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if _steers(char) and char not in keep else char for char in text)


def _steers(char: str) -> bool:
    return unicodedata.category(char) in _CONTROLS or char in _DIRECTIONS


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


class Terminal(Console):
    """A stream for people. Whatever text it is given, only rich itself steers the terminal; no text is taken for markup
    or emoji."""

    def __init__(self, *, stderr: bool) -> None:
        # Rich knows of TERM=dumb, and takes a terminal that does not say what it is for one that can all.
        colors: Literal["auto"] | None = None if os.environ.get("TERM", "").lower() in _DUMB else "auto"
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, color_system=colors)

    def say(self, line: str) -> None:
        """Print one line, however long it is."""
        self.print(printable(line), soft_wrap=True)

    def show(self, text: str) -> None:
        """Print several lines that belong together, each as it is."""
        for line in text.splitlines():
            self.say(line)

    def render_str(self, text: str, **how: Any) -> Text:
        """As rich does it, once for measuring and once for printing; cleaned before both."""
        return super().render_str(printable(text, keep="\n\t"), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does it; what did not come through `render_str` is cleaned here."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text, keep="\n\t"), style, control)

    @property
    def can_redraw(self) -> bool:
        """Whether a line can be drawn anew: at a terminal that moves its cursor."""
        return self.is_terminal and self.color_system is not None


class Messages(Terminal):
    """Standard error: what goes on, and what went wrong."""

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def print(self, *objects: Any, **how: Any) -> None:
        """As rich does it; a message that cannot be written ends no work."""
        with suppress(OSError):
            super().print(*objects, **how)

    def on_broken_pipe(self) -> None:
        """Discard further messages: the pipe is closed."""
        self.quiet = True
        _discard(2)


class Results(Terminal):
    """Standard output: what was asked for."""

    def __init__(self) -> None:
        super().__init__(stderr=False)

    def print(self, *objects: Any, **how: Any) -> None:
        """As rich does it. Raises StorageError where it cannot be written; nobody reading any more is no error."""
        with standard_output():
            super().print(*objects, **how)

    def on_broken_pipe(self) -> None:
        """Discard further results: the pipe is closed."""
        self.quiet = True
        _discard(1)


def json_encoder(stream: TextIO) -> Callable[[Mapping[str, object]], str]:
    """A function that writes an object as one line of JSON, without the line feed: in UTF-8, or in ASCII where the
    stream has another encoding (RFC 8259, "Character Encoding")."""
    if codecs.lookup(stream.encoding or "utf-8").name == "utf-8":
        return to_line
    return partial(json.dumps, separators=(",", ":"), allow_nan=False)


def table(*headings: str) -> Table:
    """A table without lines; on a narrow terminal its cells are folded, and nothing of them is lost."""
    return Table(*(Column(heading, overflow="fold") for heading in headings), box=None, pad_edge=False)


def row(cells: Iterable[object], widths: Iterable[int]) -> str:
    """A line of a table that is printed while it is made. `widths` are in cells of a terminal; what is longer than its
    column pushes the rest of its line to the right."""
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
    """Send the rest to nowhere: Python would try to write it again on leaving, and complain
    (docs.python.org/3/library/signal.html)."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@cache
def messages() -> Messages:
    """The process's one standard error: only on one console can rich draw a bar within a bar, and print above it."""
    return Messages()


@contextmanager
def working(what: str) -> Iterator[None]:
    """While work goes on of which nobody can say how long it takes."""
    console = messages()
    if console.can_redraw:
        with console.status(what):
            yield
    else:
        console.say(f"{what} …")
        yield


def download_bar() -> Progress:
    """What is drawn while networks and pictures are downloaded."""
    name = TextColumn("{task.description}", table_column=Column(overflow="ellipsis"))
    return bar(name, gauge(), DownloadColumn(table_column=Column(no_wrap=True)), TimeRemainingColumn())


def gauge() -> BarColumn:
    """The part of a bar that grows: as wide as the terminal has room for, up to 40 cells."""
    return BarColumn(bar_width=None, table_column=Column(max_width=40))


def bar(*columns: ProgressColumn, quiet: bool = False) -> Progress:
    """Lines on standard error that are drawn anew while work goes on, and leave nothing behind; none where nobody looks
    at a terminal that can. Results stay where they were sent, unless that is the same terminal."""
    console = messages()
    return _Bar(
        *columns,
        console=console,
        transient=True,
        disable=quiet or not console.can_redraw,
        redirect_stdout=sys.stdout.isatty(),
    )


class _Bar(Progress):
    """A bar that is taken away again where an interruption comes while it is drawn for the first time."""

    def start(self) -> None:
        """As rich does it, which leaves the cursor hidden then."""
        with ExitStack() as undo:
            undo.callback(self.stop)
            super().start()
            undo.pop_all()


def prepare_streams() -> None:
    """Let no character end a command: what a stream cannot encode, or no file name should hold, is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def prepared(out: Path) -> Path:
    """The folder, made if need be. Raises OutputError if it cannot be written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise OutputError(f"cannot write to the folder {out}: {error.strerror}") from error
    return out


def progress() -> Progress:
    """A bar on standard error; silent if nobody looks at a terminal."""
    return bar(
        TextColumn("{task.description}"),
        gauge(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
