"""Writes events as JSON lines or CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

from stream.events.jsonl_log import to_line
from stream.events.schema import EventDict

_BOX = ("x", "y", "width", "height")

_COLUMNS = [
    "schema", "id", "type", "camera", "track", "name", "score", "threshold", "runner_up", "runner_up_score",
    "raw_score", "restored_score", "deblurred_by", "blur", "pts_s", "frame", "wall_time", *_BOX, "first_pts_s",
    "evidence",
]  # fmt: skip

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write_json(records: Iterable[EventDict], out: TextIO) -> None:
    """One JSON object a line, as the log has them."""
    for record in records:
        out.write(f"{to_line(record)}\n")


def write_csv(records: Iterable[EventDict], out: TextIO, more: Sequence[str] = (), header: bool = True) -> None:
    """CSV with a header (RFC 4180) that a spreadsheet can open safely.

    Text that a spreadsheet would run as a formula is quoted with an apostrophe, as OWASP advises against CSV
    injection. `more` are keys of the records beyond an event's. Open `out` with newline="".
    """
    writer = csv.DictWriter(out, [*_COLUMNS, *more], lineterminator="\r\n")
    if header:
        writer.writeheader()
    for record in records:
        writer.writerow({key: _cell(value) for key, value in _flat(record).items()})


def _flat(record: EventDict) -> EventDict:
    """The record with one value a column: the runner-up in two, the box in four."""
    runner_up, box = record["runner_up"], record["box"]
    flat = {key: value for key, value in record.items() if key != "box"}
    if isinstance(runner_up, dict):
        flat |= {"runner_up": runner_up["name"], "runner_up_score": runner_up["score"]}
    if isinstance(box, list):
        flat |= dict(zip(_BOX, box, strict=True))
    return flat


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "backslashreplace").decode()
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
