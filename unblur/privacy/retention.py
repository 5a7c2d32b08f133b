"""Nothing is kept for longer, or takes more room, than the configuration says (`retention`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from configs.schema import Limit, Retention
from recognize.gallery.people_gallery import Gallery
from stream.events.erasure import without
from stream.events.jsonl_log import to_line
from stream.events.query import file_of
from stream.events.schema import EventDict
from unblur.privacy.personal_data import ErrorCollector, LogHandle, PersonalData

_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What went: log entries, bundles of evidence, opinions and unsent posts in the annex, and people of the gallery
    by name; and why what should have gone did not."""

    entries: int
    bundles: int
    annexed: int
    people: tuple[str, ...]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    """Something that is kept: since when, and what room it takes."""

    id: str
    since: datetime
    size: float


def apply_retention(limits: Retention, records: PersonalData, now: datetime, serving: bool = False) -> RetentionReport:
    """Delete what is older than its limit, and then the oldest, until the rest takes no more room than its limit.

    An event's age is that of its wall time, or, where it has none, of the log's last change; evidence goes with its
    event, and so do opinions and unsent posts. While a run is `serving`, databases are not written anew, for it would
    have to wait for that. A gallery that was changed is to be loaded again by whoever uses it. What fails keeps nothing
    else from going, but that the logs, which alone tell the ids, wait for what goes with them.
    """
    attempts, beside = ErrorCollector(), ErrorCollector()
    old: list[tuple[Sequence[LogHandle], set[str]]] = []
    for group in records.logs:
        with attempts.collect():
            old.append((group, _beyond(limits.events, _entries(group), now)))
    ids = set[str]().union(*(gone for _, gone in old))
    annexed = bundles = entries = 0
    people: tuple[str, ...] = ()
    with beside.collect():
        annexed = records.annex.amend(without(ids), ids, serving=serving) if records.annex and ids else 0
    with beside.collect():
        bundles = _expire_bundles(limits, records, ids, now)
    if not beside.failed:
        entries = _expire_entries(old, attempts, serving)
    with attempts.collect():
        people = _expire_people(limits, records, now)
    return RetentionReport(entries, bundles, annexed, people, (*beside.failed, *attempts.failed))


def _expire_entries(
    old: Iterable[tuple[Sequence[LogHandle], set[str]]], attempts: ErrorCollector, serving: bool
) -> int:
    entries = 0
    for group, gone in old:
        for log in group:
            with attempts.collect():
                entries += _drop(log, gone, serving)
    return entries


def _drop(log: LogHandle, gone: set[str], serving: bool) -> int:
    if serving:
        return log.drop(gone)
    return log.ledger.rewrite_events(without(gone)) if gone else 0


def _expire_bundles(limits: Retention, records: PersonalData, ids: set[str], now: datetime) -> int:
    if records.evidence is None:
        return 0
    kept = [_Kept(*each) for each in records.evidence.ages()]
    old = ids | _beyond(limits.crops, kept, now) | _beyond(Limit(days=limits.events.days), kept, now)
    gone = records.evidence.amend(without(old), "expired", old) if old else 0
    if gone:
        records.evidence.prune_chain()
    return gone


def _expire_people(limits: Retention, records: PersonalData, now: datetime) -> tuple[str, ...]:
    gallery = records.people()
    if gallery is None or records.gallery is None:
        return ()
    old = _beyond(limits.galleries, _people(gallery, records.gallery), now)
    if old:
        records.remove_people(*old)
    return tuple(sorted(old))


def _beyond(limit: Limit, kept: Sequence[_Kept], now: datetime) -> set[str]:
    """Those to go; `kept` begins with the oldest."""
    since = now - timedelta(days=limit.days) if limit.days else datetime.min.replace(tzinfo=UTC)
    old = {one.id for one in kept if one.since < since}
    if limit.megabytes:
        room = sum(one.size for one in kept if one.id not in old) - limit.megabytes * _MEGABYTE
        for one in kept:
            if room <= 0:
                break
            if one.id not in old:
                old.add(one.id)
                room -= one.size
    return old


def _entries(group: Sequence[LogHandle]) -> list[_Kept]:
    """The group's events, the oldest first; one that several logs hold takes room in each."""
    kept: dict[str, _Kept] = {}
    for log in group:
        for one in _of_log(log):
            before = kept.get(one.id)
            kept[one.id] = replace(one, size=one.size + (before.size if before else 0.0))
    return list(kept.values())


def _of_log(log: LogHandle) -> list[_Kept]:
    """Each with its part of the file."""
    changed = _changed(file_of(log.where))
    kept = [_Kept(str(event["id"]), _since(event, changed), len(to_line(event))) for event in log.events()]
    size = log.size()
    scale = 1.0 if size is None else size / max(sum(one.size for one in kept), 1)
    return [replace(one, size=one.size * scale) for one in kept]


def _since(event: EventDict, changed: datetime) -> datetime:
    wall_time = event["wall_time"]
    return datetime.fromisoformat(str(wall_time)) if wall_time else changed


def _people(gallery: Gallery, path: Path) -> list[_Kept]:
    """Oldest first."""
    size = path.stat().st_size / max(len(gallery.photos), 1)
    people = [
        _Kept(name, datetime.fromtimestamp(person.enrolled or 0.0, UTC), size * len(person.embeddings))
        for name, person in gallery.people.items()
    ]
    return sorted(people, key=lambda one: one.since)


def _changed(path: Path | None) -> datetime:
    """A file's last change; of what is no file nothing is known, and it counts as new."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path else datetime.max.replace(tzinfo=UTC)
