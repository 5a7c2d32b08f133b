"""`unblur events`: lists, exports and verifies event logs, and decrypts the crops of evidence."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, TextIO

import typer

from stream.errors import OutputError, StorageError, UsageError
from stream.events.export import write_csv, write_json
from stream.events.query import EventFilter, TimeBound, file_of, query
from stream.events.schema import EventDict
from stream.results import EventType
from stream.storage.atomic_files import atomic_write
from stream.storage.encryption import Cipher, decrypt_if
from unblur.commands.options import Command, ConfigOption, FormatChoice, command_app, examples
from unblur.terminal import Results, json_encoder, row, standard_output

app = command_app("Inspect an event log or store.")
_WIDTHS = {"time": 24, "camera": 12, "track": 5, "event": 6, "who": 24, "score": 7, "raw": 7, "restored": 8, "by": 0}
"""The widths of the table's columns, in terminal cells."""

PersonOption = Annotated[str | None, typer.Option(help='A name, or "unknown".')]
CameraOption = Annotated[str | None, typer.Option(help="A camera's name.")]
SinceOption = Annotated[str | None, typer.Option(help="From 2026-01-31T18:00:00Z on, or from a second of media time.")]
UntilOption = Annotated[str | None, typer.Option(help="Before this time, written as for --since.")]
TypeOption = Annotated[EventType | None, typer.Option(help="Only events of this type.")]
LogArgument = Annotated[str, typer.Argument(metavar="LOG", help="An event log (a file), or a store as sqlite:///FILE.")]


@app.command(
    "list",
    cls=Command,
    epilog=examples(
        "unblur events list events.jsonl",
        'unblur events list events.jsonl --person "Ann Lee" --type new',
        "unblur events list sqlite:///events.sqlite --since 2026-01-31T18:00:00Z",
    ),
)
def list_events(
    log: LogArgument,
    person: PersonOption = None,
    camera: CameraOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    type: TypeOption = None,
) -> None:
    """Show events as a table."""
    print_events(log, make_filter(person, camera, since, until, type))


@app.command(
    "export",
    cls=Command,
    epilog=examples(
        "unblur events export events.jsonl --format csv -o events.csv",
        "unblur events export sqlite:///events.sqlite --person unknown",
        "unblur events export sqlite:///events.sqlite --until 2026-02-01T00:00:00Z",
    ),
)
def export_events(
    log: LogArgument,
    format: Annotated[FormatChoice, typer.Option(help="JSON, one object a line, or CSV.")] = "json",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A file; standard output if not given.")] = None,
    person: PersonOption = None,
    camera: CameraOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    type: TypeOption = None,
) -> None:
    """Write events as JSON lines or CSV."""
    export(log, make_filter(person, camera, since, until, type), format, out)


@app.command(
    "verify",
    cls=Command,
    epilog=examples(
        "unblur events verify evidence",
        "unblur events verify evidence --log events.jsonl",
        "unblur events verify evidence --log sqlite:///events.sqlite --key signer-51765d32e680c34f.pem",
    ),
)
def verify_events(
    evidence: Annotated[Path, typer.Argument(metavar="EVIDENCE", help="The folder that a run kept its evidence in.")],
    log: Annotated[
        list[str] | None, typer.Option(help="An event log, or a store as sqlite:///FILE, to compare.")
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="A public key to trust, kept elsewhere (signer-….pem).")
    ] = None,
) -> int:
    """Check evidence for tampering.

    Finds every changed, missing or inserted event, bundle or picture; the exit status is 1 if there is any.
    """
    from unblur.commands.verify import verify

    return verify(evidence, log or [], key or [])


@app.command("crops", cls=Command, epilog=examples("unblur events crops evidence -o crops -c unblur.yaml"))
def decrypt_crops(
    evidence: Annotated[Path, typer.Argument(metavar="EVIDENCE", help="A folder of evidence, its pictures encrypted.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the pictures as they are.")],
    config: ConfigOption = None,
) -> None:
    """Decrypt the pictures of evidence.

    The key is the one that the configuration names (encryption.key).
    """
    from configs.loader import load
    from unblur.assembly.components import Components

    Results().say(f"{decrypt(evidence, out, Components(load(config, {})).cipher)} pictures written to {out}")


def make_filter(
    person: str | None, camera: str | None, since: str | None, until: str | None, kind: EventType | None
) -> EventFilter:
    """Make the event filter of the options; a name matches in both Unicode normal forms, NFC and NFD. Raises UsageError
    for an invalid time."""
    spellings = tuple(unicodedata.normalize(form, person) for form in ("NFC", "NFD")) if person else ()
    return EventFilter(person, camera, _parse_time(since), _parse_time(until), kind, spellings=spellings)


def print_events(log: str, filter: EventFilter) -> None:
    """Print a table of events, row by row as they are read."""
    events = query(log, filter)
    first = list(islice(events, 1))  # before the headings, so that an unreadable log prints none
    with standard_output() as stream:
        stream.write(f"{row(_WIDTHS, _WIDTHS.values())}\n")
        for event in chain(first, events):
            stream.write(f"{row(_cells(event), _WIDTHS.values())}\n")


def _cells(event: EventDict) -> list[object]:
    time = event["wall_time"] or f"{event['pts_s']:.2f} s"
    restored = "" if event["restored_score"] is None else event["restored_score"]
    who = event["name"] or "unknown"
    scores = [event["score"], event["raw_score"], restored]
    return [time, event["camera"], event["track"], event["type"], who, *scores, event["deblurred_by"]]


def export(log: str, filter: EventFilter, format: str, out: Path | None) -> None:
    """Write the events to a file, atomically, or to standard output.

    Raises OutputError if the file cannot be opened, StorageError if writing fails, UsageError if the file is the log
    itself.
    """
    if out is not None:
        _require_another_file(log, out)
        with _open_part_file(out) as stream:
            (write_csv if format == "csv" else write_json)(query(log, filter), stream)
    elif format == "csv":
        with standard_output() as stream:
            write_csv(query(log, filter), stream)
    else:
        _print_json(query(log, filter))


def _print_json(events: Iterable[EventDict]) -> None:
    with standard_output() as stream:
        encode = json_encoder(stream)
        for event in events:
            stream.write(f"{encode(event)}\n")


@contextmanager
def _open_part_file(out: Path) -> Iterator[TextIO]:
    partial = _partial(out)
    try:
        file = partial.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}; choose a folder that can be written") from error
    try:
        with file:
            yield file
        partial.replace(out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}; make room and try again") from error
    finally:
        partial.unlink(missing_ok=True)


def _require_another_file(log: str, out: Path) -> None:
    source = file_of(log)
    if out.exists() and not out.is_file():
        raise OutputError(f"cannot write {out}: it is not a plain file")
    for target in (out, _partial(out)):
        if source and source.exists() and target.exists() and target.samefile(source):
            raise UsageError(f"cannot write {out}: it would overwrite the log {source}; name another file")


def _partial(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")


def _parse_time(text: str | None) -> TimeBound | None:
    if text is None:
        return None
    with suppress(ValueError):
        if math.isfinite(seconds := float(text)):
            return seconds
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time: write 2026-01-31T18:00:00Z, or seconds of media time") from error


def decrypt(folder: Path, out: Path, cipher: Cipher | None) -> int:
    """Write the images of an evidence folder into the folder `out`, decrypted if they are encrypted; return their
    number.

    Raises UsageError without the right key, or if the folder has no images.
    """
    pictures = sorted(folder.glob("*.png"))
    if not pictures:
        raise UsageError(f"{folder} holds no pictures: name a folder of evidence")
    if out.resolve() == folder.resolve():
        raise UsageError(f"{out} is the evidence itself: name another folder")
    decrypt_if(pictures[0], pictures[0].read_bytes(), cipher)  # fail before anything is written
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}; choose another --out") from error
    for picture in pictures:
        content = decrypt_if(picture, picture.read_bytes(), cipher)
        try:
            atomic_write(out / picture.name, content)
        except OSError as error:
            raise StorageError(f"cannot write to {out}: {error.strerror}; make room and try again") from error
    return len(pictures)
