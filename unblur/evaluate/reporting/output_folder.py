"""Writes the output folder of an evaluation, when all is done; each file atomically."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from stream.errors import StorageError, UsageError
from unblur.evaluate.reporting.run_record import RunRecord
from unblur.evaluate.reporting.tables import Table, to_json, to_markdown

Draw = Callable[[Path], None]
"""Draws a plot into a PNG file of that name."""


def require(*libraries: str) -> None:
    """Raise UsageError if one of these modules, part of the extra `evaluate`, is not installed."""
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise UsageError(f"{' and '.join(missing)} cannot be found: pip install 'unblur[evaluate]'")


def write(out: Path, title: str, tables: Sequence[Table], record: RunRecord, plots: Mapping[str, Draw]) -> None:
    """Write table.md, table.json and the plots. Each file is replaced atomically. Raises StorageError."""
    _replace(out / "table.md", lambda file: _write_text(file, to_markdown(title, tables, record)))
    _replace(out / "table.json", lambda file: _write_text(file, to_json(title, tables, record)))
    for name, draw in plots.items():
        _replace(out / f"{name}.png", draw)


def _write_text(file: Path, text: str) -> None:
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
