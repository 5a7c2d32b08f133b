"""`unblur forget`: a person goes from gallery, logs, evidence and the application; and what remains is listed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from configs.schema import Config
from recognize.gallery.people_gallery import Gallery
from stream.errors import UsageError
from stream.events.erasure import forgetting, of_person, same_name
from stream.events.jsonl_log import EventTransform
from stream.events.schema import EventDict
from stream.evidence.evidence_store import EvidenceStore
from unblur.app_database import application_database
from unblur.assembly.components import Components
from unblur.data_dir import alone, placed, require_folder_of_data
from unblur.privacy.app_event_data import AppEventData
from unblur.privacy.personal_data import ErrorCollector, LogHandle, PersonalData, open_personal_data, require_done
from unblur.privacy.retention import RetentionReport, apply_retention
from unblur.terminal import Results

_REMAINS = (
    "events of tracks that never bore the name, even where an operator said it",
    "events under a former name of somebody who was renamed by an earlier version, or is in no gallery any more",
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
class ErasureReport:
    """How many log entries, bundles and `annexed` opinions and posts went or were changed; and where and when the
    person had been seen; and why what should have gone did not."""

    known: bool = False
    entries: int = 0
    bundles: int = 0
    app_rows: int = 0
    seen: dict[str, list[EventDict]] = field(default_factory=dict)
    ids: set[object] = field(default_factory=set)
    former: tuple[str, ...] = ()
    ambiguous_names: tuple[str, ...] = ()
    renamed_to: tuple[str, ...] = ()
    failed: list[str] = field(default_factory=list)


def forget_in(config: Config, person: str | None, logs: Sequence[str], stores: Sequence[str]) -> None:
    """Forget a person, or if it is None what has expired, in the configuration's gallery and evidence, in `logs` and
    `stores`, or where none are named in its own, and in its folder of data, if it names one.

    Raises UsageError if nothing is known of such a person, or nothing is named to forget them in; OutputError where a
    run is writing; UnblurError, once all the rest is done and told, where something could not be done.
    """
    with ExitStack() as stack:
        records = open_configured_data(config, logs, stores, stack)
        if person is None:
            expired_now = apply_retention(config.retention, records, datetime.now(UTC))
            _report_expired(expired_now)
            require_done(expired_now.failed)
        else:
            erase_and_report(person, records)


def open_configured_data(config: Config, logs: Sequence[str], stores: Sequence[str], stack: ExitStack) -> PersonalData:
    """All records that the configuration and `logs` and `stores` name, for this process alone; `stack` closes them.
    Raises UsageError if nothing is named, OutputError where a run is writing."""
    annex = None
    if data := config.serve.data:
        config, annex = placed(config, data, only_there=True), _open_annex(data, stack)
    return _open(config, logs, stores, annex, stack)


def _open_annex(data: Path, stack: ExitStack) -> AppEventData:
    require_folder_of_data(data)
    stack.enter_context(alone(data))
    engine = application_database(data)
    stack.callback(engine.dispose)
    return AppEventData(engine)


def _open(
    config: Config, logs: Sequence[str], stores: Sequence[str], annex: AppEventData | None, stack: ExitStack
) -> PersonalData:
    output, gallery = config.output, config.recognition.gallery
    logs = logs or ([str(output.events)] if output.events else [])
    stores = stores or ([output.store] if output.store else [])
    if not (logs or stores or output.evidence or gallery or annex):
        raise UsageError(
            "nothing to forget in: give --data, --gallery, --log, --store, --evidence, or a --config with them"
        )
    parts = Components(config)
    fingerprint = parts.embedder.fingerprint if gallery else ""
    return open_personal_data(gallery, [*logs, *stores], output.evidence, annex, parts.cipher, fingerprint, stack)


def erase_and_report(person: str, records: PersonalData) -> None:
    """Forget, and say what was done and what remains. Raises UsageError if nothing is known of such a person."""
    forgotten = erase(person, records)
    if not (
        forgotten.known
        or forgotten.entries
        or forgotten.bundles
        or forgotten.app_rows
        or forgotten.failed
        or forgotten.renamed_to
    ):
        raise UsageError(f"nothing is known of {person!r} there: check the spelling")
    _report(forgotten)
    require_done(forgotten.failed)


def erase(person: str, records: PersonalData) -> ErasureReport:
    """Take the person out of everything. What fails keeps nothing else from going, and doing it again does the rest."""
    attempts, forgotten = ErrorCollector(), ErasureReport()
    with attempts.collect():
        _name(person, records.people(), forgotten)
    logs = _searched(person, records, forgotten, attempts)
    change = forgetting(person, forgotten.ids, forgotten.former)
    with attempts.collect():
        forgotten.bundles = _amend_evidence(records.evidence, change, forgotten.ids, attempts)
    with attempts.collect():  # the logs, which alone tell the ids, wait for it
        forgotten.app_rows = (
            records.annex.amend(change, forgotten.ids, (person, *forgotten.former)) if records.annex else 0
        )
        forgotten.entries = _amend_logs(logs, change, attempts)
    if attempts.failed and forgotten.former:
        attempts.note(f"next time forget the former names, too: {', '.join(forgotten.former)}")
    with attempts.collect():  # which tells the former names, and so goes last
        forgotten.known = records.remove_people(person, former=(person, *forgotten.former))
    forgotten.failed = attempts.failed
    return forgotten


def _name(person: str, gallery: Gallery | None, forgotten: ErasureReport) -> None:
    """Note what the person was called before: a name that is, or was, somebody else's, too, leads to the events of
    both, and so to nobody's."""
    people = gallery.people if gallery else {}
    others = {name: who for name, who in people.items() if not same_name(name, person)}
    taken = {*others, *(former for who in others.values() for former in who.former)}
    former = [each for name, who in people.items() if name not in others for each in who.former]
    forgotten.former = tuple(name for name in former if name not in taken)
    forgotten.ambiguous_names = tuple(name for name in former if name in taken)
    forgotten.renamed_to = tuple(
        name for name, who in others.items() if any(same_name(former, person) for former in who.former)
    )


def _searched(
    person: str, records: PersonalData, forgotten: ErasureReport, attempts: ErrorCollector
) -> list[LogHandle]:
    """Note which events are about the person, and where they were seen; the logs that could be read."""
    logs = []
    for log in (log for group in records.logs for log in group):
        with attempts.collect():
            _note(list(log.events()), person, forgotten)
            logs.append(log)
    if records.evidence:
        _note(records.evidence.events(), person, forgotten)
    return logs


def _note(events: Iterable[Mapping[str, object]], person: str, forgotten: ErasureReport) -> None:
    for event in of_person(events, person, forgotten.former):
        if event["id"] not in forgotten.ids:
            forgotten.seen.setdefault(str(event["camera"]), []).append(dict(event))
        forgotten.ids.add(event["id"])


def _amend_logs(logs: Iterable[LogHandle], change: EventTransform, attempts: ErrorCollector) -> int:
    entries = 0
    for log in logs:
        with attempts.collect():
            entries += log.ledger.rewrite_events(change)
    return entries


def _amend_evidence(
    evidence: EvidenceStore | None, change: EventTransform, ids: Collection[object], attempts: ErrorCollector
) -> int:
    if evidence is None:
        return 0
    amended = evidence.amend(change, "forgotten", ids)
    for event in evidence.unreadable():
        attempts.note(f"whom the evidence of {event} shows is not known, for its bundle cannot be read")
    return amended


def _report(forgotten: ErasureReport) -> None:
    console = Results()
    gallery = "the gallery's entry is gone" if forgotten.known else "no entry in a gallery"
    console.say(f"{gallery}; {forgotten.entries} log entries and {forgotten.bundles} bundles are gone or were changed")
    if forgotten.former:
        console.say(f"forgotten as {', '.join(forgotten.former)}, too: so they were called before")
    if forgotten.app_rows:
        console.say(f"{forgotten.app_rows} opinions and unsent webhooks are gone or were changed")
    for camera, events in sorted(forgotten.seen.items()):
        first, last = (_moment(event) for event in (events[0], events[-1]))
        console.say(f"was seen by {camera} from {first} to {last}")
    console.say("What may remain, and is not this command's to find:")
    for what in (*_of_names(forgotten), *_REMAINS):
        console.say(f"- {what}")


def _of_names(forgotten: ErasureReport) -> list[str]:
    shared = [
        f"events under the name {name}, which is or was somebody else's, too" for name in forgotten.ambiguous_names
    ]
    return [*shared, *(f"{name}, who was called so before, and is known by this name" for name in forgotten.renamed_to)]


def _report_expired(expired: RetentionReport) -> None:
    people = ", ".join(expired.people) or "nobody"
    console = Results()
    console.say(
        f"expired: {expired.entries} log entries, {expired.bundles} bundles,"
        f" {expired.annexed} opinions and unsent webhooks; from the gallery: {people}"
    )


def _moment(event: Mapping[str, object]) -> object:
    return event["wall_time"] or f"{event['pts_s']} s"
