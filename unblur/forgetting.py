"""`unblur forget`: a person goes from gallery, logs, evidence and the application; and what remains is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from configs.schema import Config
from stream.errors import UsageError
from stream.forgetting import forgetting, of_person
from stream.history import Record
from unblur.annex import Annex
from unblur.assemble import Parts
from unblur.folder import alone, application_database, placed, require_folder_of_data
from unblur.records import Records, open_records
from unblur.retention import Expired, expire

_REMAINS = (
    "events of tracks that never bore the name, even where an operator said it",
    "photos that the person was enrolled from: enrolling again would bring them back",
    "recordings, and annotated videos made from them; where the person was seen is listed above",
    "what was exported (CSV, JSON, reports, pictures of `unblur image`), printed, sent or copied elsewhere",
    "backups and snapshots of all of these, and what a disk keeps of deleted files",
    "other galleries, logs, folders of evidence and folders of data, which were not named here",
    "the application's audit log: who of its users did what to whom, for a year at most",
    "what an MQTT broker retains: who is, and was last, before each camera, until `unblur serve` starts again",
    "a run that is on keeps the gallery it was started with: start it again",
    "in the evidence's chain: ids and hashes of the bundles that are gone, and a signed word that some are",
)


@dataclass(slots=True)
class Forgotten:
    """How many log entries, bundles and `annexed` opinions and posts went or were changed; and where and when the
    person had been seen."""

    known: bool = False
    entries: int = 0
    bundles: int = 0
    annexed: int = 0
    seen: dict[str, list[Record]] = field(default_factory=dict)


def forget_in(config: Config, person: str | None, logs: Sequence[str], stores: Sequence[str], expired: bool) -> None:
    """Forget a person, or what has `expired`, in the configuration's gallery and evidence, in `logs` and `stores`, or
    where none are named in its own, and in its folder of data, if it names one.

    Raises UsageError if nothing is known of such a person, or nothing is named to forget them in; OutputError where a
    run is writing.
    """
    if (person is None) != expired:
        raise UsageError("name a person, or give --expired, and not both")
    with ExitStack() as stack:
        annex = None
        if data := config.serve.data:
            config, annex = placed(config, data, only_there=True), _open_annex(data, stack)
        records = _open(config, logs, stores, annex, stack)
        if person is None:
            _report_expired(expire(config.retention, records, datetime.now(UTC)))
        else:
            forget(person, records)


def _open_annex(data: Path, stack: ExitStack) -> Annex:
    require_folder_of_data(data)
    stack.enter_context(alone(data))
    engine = application_database(data)
    stack.callback(engine.dispose)
    return Annex(engine)


def _open(config: Config, logs: Sequence[str], stores: Sequence[str], annex: Annex | None, stack: ExitStack) -> Records:
    output, gallery = config.output, config.recognition.gallery
    logs = logs or ([str(output.events)] if output.events else [])
    stores = stores or ([output.store] if output.store else [])
    if not (logs or stores or output.evidence or gallery or annex):
        raise UsageError(
            "nothing to forget in: give --data, --gallery, --log, --store, --evidence, or a --config with them"
        )
    parts = Parts(config)
    fingerprint = parts.embedder.fingerprint if gallery else ""
    return open_records(gallery, [*logs, *stores], output.evidence, annex, parts.cipher, fingerprint, stack)


def forget(person: str, records: Records) -> None:
    """Forget, and say what was done and what remains. Raises UsageError if nothing is known of such a person."""
    forgotten = erase(person, records)
    if not (forgotten.known or forgotten.entries or forgotten.bundles or forgotten.annexed):
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
    forgotten.known = records.dismiss(person)
    change = forgetting(person, ids)
    if records.annex:  # while the logs still tell the ids
        forgotten.annexed = records.annex.amend(change, ids, person)
    forgotten.entries = sum(log.ledger.amend(change) for group in records.logs for log in group)
    if records.evidence:
        forgotten.bundles = records.evidence.amend(change, "forgotten")
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
    if forgotten.annexed:
        console.print(f"{forgotten.annexed} opinions and unsent webhooks are gone or were changed")
    for camera, events in sorted(forgotten.seen.items()):
        first, last = (_moment(event) for event in (events[0], events[-1]))
        console.print(f"was seen by {camera} from {first} to {last}")
    console.print("What may remain, and is not this command's to find:")
    for what in _REMAINS:
        console.print(f"- {what}")


def _report_expired(expired: Expired) -> None:
    people = ", ".join(expired.people) or "nobody"
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"expired: {expired.entries} log entries, {expired.bundles} bundles,"
        f" {expired.annexed} opinions and unsent webhooks; from the gallery: {people}"
    )


def _moment(event: Mapping[str, object]) -> object:
    return event["wall_time"] or f"{event['pts_s']} s"
