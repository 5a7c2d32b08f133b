"""`unblur forget`: a person goes from gallery, logs and evidence; and what remains elsewhere is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console

from configs.schema import Config
from stream.errors import UsageError
from stream.forgetting import forgetting, of_person
from stream.history import Record
from unblur.assemble import Parts
from unblur.records import Records, open_records
from unblur.retention import Expired, expire

_REMAINS = (
    "photos that the person was enrolled from: enrolling again would bring them back",
    "recordings, and annotated videos made from them; where the person was seen is listed above",
    "what was exported (CSV, JSON, reports, pictures of `unblur image`), printed, sent or copied elsewhere",
    "backups and snapshots of all of these, and what a disk keeps of deleted files",
    "other galleries, logs and folders of evidence, which were not named here",
    "a run that is on keeps the gallery it was started with: start it again",
    "in the evidence's chain: ids and hashes of the bundles that are gone, and a signed word that some are",
)


@dataclass(slots=True)
class Forgotten:
    """How many log entries and bundles went or were changed; and where and when the person had been seen."""

    known: bool = False
    entries: int = 0
    bundles: int = 0
    seen: dict[str, list[Record]] = field(default_factory=dict)


def forget_in(config: Config, person: str | None, logs: Sequence[str], expired: bool) -> None:
    """Forget a person, or what has `expired`, in the configuration's gallery and evidence, and in `logs`, or where
    none are named in its own.

    Raises UsageError if nothing is known of such a person, or nothing is named to forget them in; OutputError where a
    run is writing.
    """
    if (person is None) != expired:
        raise UsageError("name a person, or give --expired, and not both")
    output = config.output
    logs = logs or [str(where) for where in (output.events, output.store) if where]
    if not (logs or output.evidence or config.recognition.gallery):
        raise UsageError("nothing to forget in: give --gallery, --log, --store, --evidence, or a --config with them")
    parts, gallery = Parts(config), config.recognition.gallery
    fingerprint = parts.embedder.fingerprint if gallery else ""
    with ExitStack() as stack:
        records = open_records(gallery, logs, output.evidence, parts.cipher, fingerprint, stack)
        if person is None:
            _report_expired(expire(config.retention, records, datetime.now(UTC)))
        else:
            forget(person, records)


def forget(person: str, records: Records) -> None:
    """Forget, and say what was done and what remains. Raises UsageError if nothing is known of such a person."""
    forgotten = erase(person, records)
    if not (forgotten.known or forgotten.entries or forgotten.bundles):
        raise UsageError(f"nothing is known of {person!r} there: check the spelling")
    _report(forgotten)


def erase(person: str, records: Records) -> Forgotten:
    """Take the person out of everything. Doing it again after it failed half-way does the rest."""
    forgotten = Forgotten()
    ids: set[object] = set()
    for events in _all_events(records):
        for event in of_person(events, person):
            if event["id"] not in ids:
                forgotten.seen.setdefault(str(event["camera"]), []).append(dict(event))
            ids.add(event["id"])
    change = forgetting(person, ids)
    forgotten.entries = sum(log.ledger.amend(change) for group in records.logs for log in group)
    if records.evidence:
        forgotten.bundles = records.evidence.amend(change, "forgotten")
    gallery = records.people()
    if gallery and gallery.names != gallery.without(person).names:
        forgotten.known = True
        records.keep(gallery.without(person))
    return forgotten


def _all_events(records: Records) -> Iterable[Iterable[Mapping[str, object]]]:
    yield from (log.events() for group in records.logs for log in group)
    if records.evidence:
        yield records.evidence.events()


def _report(forgotten: Forgotten) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    gallery = "the gallery's entry is gone" if forgotten.known else "no entry in a gallery"
    console.print(
        f"{gallery}; {forgotten.entries} log entries and {forgotten.bundles} bundles are gone or were changed"
    )
    for camera, events in sorted(forgotten.seen.items()):
        first, last = (_moment(event) for event in (events[0], events[-1]))
        console.print(f"was seen by {camera} from {first} to {last}")
    console.print("What may remain, and is not this command's to find:")
    for what in _REMAINS:
        console.print(f"- {what}")


def _report_expired(expired: Expired) -> None:
    people = ", ".join(expired.people) or "nobody"
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"expired: {expired.entries} log entries, {expired.bundles} bundles; from the gallery: {people}")


def _moment(event: Mapping[str, object]) -> object:
    return event["wall_time"] or f"{event['pts_s']} s"
