"""Erasure for `unblur forget`: removes a person from gallery, logs, evidence and application; lists what may remain."""

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
from unblur.data_dir import lock_data_folder, require_data_folder, with_data_paths
from unblur.privacy.app_event_data import AppEventData
from unblur.privacy.personal_data import ErrorCollector, LogHandle, PersonalData, open_personal_data, require_done
from unblur.privacy.retention import RetentionReport, apply_retention
from unblur.terminal import Results

_REMAINS = (
    "events of tracks that never bore the name, even where an operator said it",
    "events under a former name of a person who was renamed by an earlier version, or is in no gallery any more",
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
    """Result of an erasure: the numbers of deleted or changed log entries, evidence bundles and `app_rows` (feedback
    and queued posts); the person's events by camera (`seen`) with their `ids`; `former` names that were erased, former
    names that are also another person's (`ambiguous_names`), people who once had the erased name (`renamed_to`); and
    the reasons of failures."""

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
    """Erase a person, or apply the retention limits if `person` is None, in the configuration's gallery and evidence,
    in `logs` and `stores` (by default its own), and in its data folder, if it names one.

    Raises UsageError if the person is not found, or no data is named; OutputError if a run is writing; UnblurError
    after everything else was done and reported, if a part failed.
    """
    with ExitStack() as stack:
        data = open_configured_data(config, logs, stores, stack)
        if person is None:
            expired = apply_retention(config.retention, data, datetime.now(UTC))
            _report_expired(expired)
            require_done(expired.failed)
        else:
            erase_and_report(person, data)


def open_configured_data(config: Config, logs: Sequence[str], stores: Sequence[str], stack: ExitStack) -> PersonalData:
    """Open and lock all personal data that the configuration, `logs` and `stores` name; `stack` closes it. Raises
    UsageError if nothing is named, OutputError if a run is writing."""
    app_data = None
    if folder := config.serve.data:
        config, app_data = with_data_paths(config, folder, existing_only=True), _open_app_data(folder, stack)
    return _open(config, logs, stores, app_data, stack)


def _open_app_data(folder: Path, stack: ExitStack) -> AppEventData:
    require_data_folder(folder)
    stack.enter_context(lock_data_folder(folder))
    engine = application_database(folder)
    stack.callback(engine.dispose)
    return AppEventData(engine)


def _open(
    config: Config, logs: Sequence[str], stores: Sequence[str], app_data: AppEventData | None, stack: ExitStack
) -> PersonalData:
    output, gallery = config.output, config.recognition.gallery
    logs = logs or ([str(output.events)] if output.events else [])
    stores = stores or ([output.store] if output.store else [])
    if not (logs or stores or output.evidence or gallery or app_data):
        raise UsageError(
            "nothing to forget in: give --data, --gallery, --log, --store, --evidence, or a --config with them"
        )
    parts = Components(config)
    fingerprint = parts.embedder.fingerprint if gallery else ""
    return open_personal_data(gallery, [*logs, *stores], output.evidence, app_data, parts.cipher, fingerprint, stack)


def erase_and_report(person: str, data: PersonalData) -> None:
    """Erase a person, and print what was done and what may remain. Raises UsageError if the person is not found;
    UnblurError if a part failed."""
    report = erase(person, data)
    if not (report.known or report.entries or report.bundles or report.app_rows or report.failed or report.renamed_to):
        raise UsageError(f"nothing is known of {person!r} there: check the spelling")
    _report(report)
    require_done(report.failed)


def erase(person: str, data: PersonalData) -> ErasureReport:
    """Erase a person from all data. A failure does not stop the rest, and a repeated call completes the work."""
    errors, report = ErrorCollector(), ErasureReport()
    with errors.collect():
        _find_other_names(person, data.people(), report)
    logs = _search_logs(person, data, report, errors)
    change = forgetting(person, report.ids, report.former)
    with errors.collect():
        report.bundles = _amend_evidence(data.evidence, change, report.ids, errors)
    with errors.collect():  # before the logs, the only source of the ids
        report.app_rows = data.app_data.amend(change, report.ids, (person, *report.former)) if data.app_data else 0
        report.entries = _amend_logs(logs, change, errors)
    if errors.failed and report.former:
        errors.note(f"next time forget the former names, too: {', '.join(report.former)}")
    with errors.collect():  # last, as the gallery is the only source of the former names
        report.known = data.remove_people(person, former=(person, *report.former))
    report.failed = errors.failed
    return report


def _find_other_names(person: str, gallery: Gallery | None, report: ErasureReport) -> None:
    """Find the person's former names. A name that is or was another person's, too, is ambiguous: events under it are
    not erased."""
    people = gallery.people if gallery else {}
    others = {name: who for name, who in people.items() if not same_name(name, person)}
    taken = {*others, *(former for who in others.values() for former in who.former)}
    former = [each for name, who in people.items() if name not in others for each in who.former]
    report.former = tuple(name for name in former if name not in taken)
    report.ambiguous_names = tuple(name for name in former if name in taken)
    report.renamed_to = tuple(
        name for name, who in others.items() if any(same_name(former, person) for former in who.former)
    )


def _search_logs(person: str, data: PersonalData, report: ErasureReport, errors: ErrorCollector) -> list[LogHandle]:
    """Record the person's events in the report; return the logs that could be read."""
    logs = []
    for log in (log for group in data.logs for log in group):
        with errors.collect():
            _record_events(list(log.events()), person, report)
            logs.append(log)
    if data.evidence:
        _record_events(data.evidence.events(), person, report)
    return logs


def _record_events(events: Iterable[Mapping[str, object]], person: str, report: ErasureReport) -> None:
    for event in of_person(events, person, report.former):
        if event["id"] not in report.ids:
            report.seen.setdefault(str(event["camera"]), []).append(dict(event))
        report.ids.add(event["id"])


def _amend_logs(logs: Iterable[LogHandle], change: EventTransform, errors: ErrorCollector) -> int:
    entries = 0
    for log in logs:
        with errors.collect():
            entries += log.log.rewrite_events(change)
    return entries


def _amend_evidence(
    evidence: EvidenceStore | None, change: EventTransform, ids: Collection[object], errors: ErrorCollector
) -> int:
    if evidence is None:
        return 0
    amended = evidence.amend(change, "forgotten", ids)
    for event in evidence.unreadable():
        errors.note(f"whom the evidence of {event} shows is not known, for its bundle cannot be read")
    return amended


def _report(report: ErasureReport) -> None:
    console = Results()
    gallery = "the gallery's entry is gone" if report.known else "no entry in a gallery"
    console.say(f"{gallery}; {report.entries} log entries and {report.bundles} bundles are gone or were changed")
    if report.former:
        console.say(f"forgotten as {', '.join(report.former)}, too: so they were called before")
    if report.app_rows:
        console.say(f"{report.app_rows} opinions and unsent webhooks are gone or were changed")
    for camera, events in sorted(report.seen.items()):
        first, last = _time_of(events[0]), _time_of(events[-1])
        console.say(f"was seen by {camera} from {first} to {last}")
    console.say("What may remain, and is not this command's to find:")
    for what in (*_describe_names(report), *_REMAINS):
        console.say(f"- {what}")


def _describe_names(report: ErasureReport) -> list[str]:
    shared = [f"events under the name {name}, which is or was another person's, too" for name in report.ambiguous_names]
    return [*shared, *(f"{name}, who was called so before, and is known by this name" for name in report.renamed_to)]


def _report_expired(expired: RetentionReport) -> None:
    people = ", ".join(expired.people) or "nobody"
    console = Results()
    console.say(
        f"expired: {expired.entries} log entries, {expired.bundles} bundles,"
        f" {expired.app_rows} opinions and unsent webhooks; from the gallery: {people}"
    )


def _time_of(event: Mapping[str, object]) -> object:
    return event["wall_time"] or f"{event['pts_s']} s"
