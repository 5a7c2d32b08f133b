"""A table of results: for readers as Markdown, for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from unblur.evaluate.reporting.run_record import RunRecord
from unblur.evaluate.scoring.open_set_metrics import Estimate

Cell = str | float | Estimate | None


@dataclass(frozen=True, slots=True)
class Column:
    """`form` is how a number is written: a format specification; intervals are written alike."""

    key: str
    title: str
    form: str = ""


@dataclass(slots=True)
class Table:
    """Rows of cells by column key; a key that a row lacks is an empty cell."""

    title: str
    columns: Sequence[Column]
    rows: list[dict[str, Cell]] = field(default_factory=list)

    def markdown(self) -> str:
        head = "| " + " | ".join(column.title for column in self.columns) + " |\n" + "|---" * len(self.columns) + "|"
        lines = ("| " + " | ".join(_written(row.get(c.key), c.form) for c in self.columns) + " |" for row in self.rows)
        return "\n".join([f"## {self.title}", "", head, *lines])


def _written(cell: Cell, form: str) -> str:
    match cell:
        case None:
            return ""
        case Estimate(value, low, high):
            return f"{value:{form}} ({low:{form}} to {high:{form}})"
        case _:
            return format(cell, form)


def markdown(title: str, tables: Sequence[Table], record: RunRecord) -> str:
    """A page with all tables and where they come from."""
    return "\n\n".join([f"# {title}", record.markdown(), *(table.markdown() for table in tables)]) + "\n"


def document(title: str, tables: Sequence[Table], record: RunRecord) -> str:
    """The same as JSON."""
    content = {"title": title, "record": asdict(record), "tables": [asdict(table) for table in tables]}
    return json.dumps(content, indent=1) + "\n"
