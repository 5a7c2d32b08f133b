"""The folder that an evaluation leaves behind. It is written when all is done, each file as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from stream.errors import StorageError, UsageError
from unblur.evaluate.reporting.run_record import RunRecord
from unblur.evaluate.reporting.tables import Table, document, markdown

Draw = Callable[[Path], None]
"""Draws a plot into a PNG file of that name."""


def require(*libraries: str) -> None:
    """Raises UsageError if one of these modules, which the extra `evaluate` brings, is not installed."""
    absent = [name for name in libraries if find_spec(name) is None]
    if absent:
        raise UsageError(f"{' and '.join(absent)} cannot be found: pip install 'unblur[evaluate]'")


def write(out: Path, title: str, tables: Sequence[Table], record: RunRecord, plots: Mapping[str, Draw]) -> None:
    """table.md, table.json and the plots. Each file is replaced as a whole. Raises StorageError."""
    _replace(out / "table.md", lambda file: _put(file, markdown(title, tables, record)))
    _replace(out / "table.json", lambda file: _put(file, document(title, tables, record)))
    for name, draw in plots.items():
        _replace(out / f"{name}.png", draw)


def _put(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _replace(path: Path, make: Draw) -> None:
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        make(part)
        part.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
