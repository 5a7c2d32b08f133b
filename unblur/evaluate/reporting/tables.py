"""Tables of results, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from unblur.evaluate.reporting.run_record import RunRecord
from unblur.evaluate.scoring.open_set_metrics import Estimate

Cell = str | float | Estimate | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `form` is the format specification of its numbers and of their intervals."""

    key: str
    title: str
    form: str = ""


@dataclass(slots=True)
class Table:
    """A table: rows of cells by column key. A missing key is an empty cell."""

    title: str
    columns: Sequence[Column]
    rows: list[dict[str, Cell]] = field(default_factory=list)

    def to_markdown(self) -> str:
        head = "| " + " | ".join(column.title for column in self.columns) + " |\n" + "|---" * len(self.columns) + "|"
        lines = (
            "| " + " | ".join(_format_cell(row.get(c.key), c.form) for c in self.columns) + " |" for row in self.rows
        )
        return "\n".join([f"## {self.title}", "", head, *lines])


def _format_cell(cell: Cell, form: str) -> str:
    match cell:
        case None:
            return ""
        case Estimate(value, low, high):
            return f"{value:{form}} ({low:{form}} to {high:{form}})"
        case _:
            return format(cell, form)


def to_markdown(title: str, tables: Sequence[Table], record: RunRecord) -> str:
    """Write a page with the record and all tables as Markdown."""
    return "\n\n".join([f"# {title}", record.to_markdown(), *(table.to_markdown() for table in tables)]) + "\n"


def to_json(title: str, tables: Sequence[Table], record: RunRecord) -> str:
    """Write the same as JSON."""
    content = {"title": title, "record": asdict(record), "tables": [asdict(table) for table in tables]}
    return json.dumps(content, indent=1) + "\n"
