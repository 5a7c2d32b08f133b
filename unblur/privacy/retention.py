"""Retention: deletes events, evidence and people beyond the configured age or size (`retention`)."""

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
    """Result of applying the limits: the numbers of deleted log entries, evidence bundles and `app_rows` (feedback and
    queued posts), the names of people removed from the gallery, and the reasons of failures."""

    entries: int
    bundles: int
    app_rows: int
    people: tuple[str, ...]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _StoredItem:
    """A stored item with its time of origin and its size in bytes."""

    id: str
    since: datetime
    size: float


def apply_retention(limits: Retention, data: PersonalData, now: datetime, serving: bool = False) -> RetentionReport:
    """Delete what is older than its limit, then the oldest items until the rest is within its size limit.

    An event's age is that of its wall time or, if it has none, of the log's last change. Evidence, feedback and queued
    posts are deleted with their event. While a run is `serving`, databases are not vacuumed, since that would block it.
    Users of a changed gallery have to reload it. A failure does not stop the rest, except that log entries, the only
    source of the ids, are deleted only after everything that belongs to them.
    """
    errors, dependent_errors = ErrorCollector(), ErrorCollector()
    old: list[tuple[Sequence[LogHandle], set[str]]] = []
    for group in data.logs:
        with errors.collect():
            old.append((group, _select_expired(limits.events, _items_of_group(group), now)))
    ids = set[str]().union(*(expired for _, expired in old))
    app_rows = bundles = entries = 0
    people: tuple[str, ...] = ()
    with dependent_errors.collect():
        app_rows = data.app_data.amend(without(ids), ids, serving=serving) if data.app_data and ids else 0
    with dependent_errors.collect():
        bundles = _expire_bundles(limits, data, ids, now)
    if not dependent_errors.failed:
        entries = _expire_entries(old, errors, serving)
    with errors.collect():
        people = _expire_people(limits, data, now)
    return RetentionReport(entries, bundles, app_rows, people, (*dependent_errors.failed, *errors.failed))


def _expire_entries(old: Iterable[tuple[Sequence[LogHandle], set[str]]], errors: ErrorCollector, serving: bool) -> int:
    entries = 0
    for group, expired in old:
        for log in group:
            with errors.collect():
                entries += _drop(log, expired, serving)
    return entries


def _drop(log: LogHandle, expired: set[str], serving: bool) -> int:
    if serving:
        return log.drop(expired)
    return log.log.rewrite_events(without(expired)) if expired else 0


def _expire_bundles(limits: Retention, data: PersonalData, ids: set[str], now: datetime) -> int:
    if data.evidence is None:
        return 0
    items = [_StoredItem(*each) for each in data.evidence.ages()]
    old = ids | _select_expired(limits.crops, items, now) | _select_expired(Limit(days=limits.events.days), items, now)
    expired = data.evidence.amend(without(old), "expired", old) if old else 0
    if expired:
        data.evidence.prune_chain()
    return expired


def _expire_people(limits: Retention, data: PersonalData, now: datetime) -> tuple[str, ...]:
    gallery = data.people()
    if gallery is None or data.gallery is None:
        return ()
    old = _select_expired(limits.galleries, _people(gallery, data.gallery), now)
    if old:
        data.remove_people(*old)
    return tuple(sorted(old))


def _select_expired(limit: Limit, items: Sequence[_StoredItem], now: datetime) -> set[str]:
    """Select the ids of the items beyond the limit; `items` starts with the oldest item."""
    since = now - timedelta(days=limit.days) if limit.days else datetime.min.replace(tzinfo=UTC)
    old = {item.id for item in items if item.since < since}
    if limit.megabytes:
        excess = sum(item.size for item in items if item.id not in old) - limit.megabytes * _MEGABYTE
        for item in items:
            if excess <= 0:
                break
            if item.id not in old:
                old.add(item.id)
                excess -= item.size
    return old


def _items_of_group(group: Sequence[LogHandle]) -> list[_StoredItem]:
    """The group's events, oldest first; the sizes of an event in several logs are added."""
    items: dict[str, _StoredItem] = {}
    for log in group:
        for item in _items_of_log(log):
            before = items.get(item.id)
            items[item.id] = replace(item, size=item.size + (before.size if before else 0.0))
    return list(items.values())


def _items_of_log(log: LogHandle) -> list[_StoredItem]:
    """A log's events, each with its share of the file size."""
    changed = _changed_at(file_of(log.where))
    items = [_StoredItem(str(event["id"]), _since(event, changed), len(to_line(event))) for event in log.events()]
    size = log.size()
    scale = 1.0 if size is None else size / max(sum(item.size for item in items), 1)
    return [replace(item, size=item.size * scale) for item in items]


def _since(event: EventDict, changed: datetime) -> datetime:
    wall_time = event["wall_time"]
    return datetime.fromisoformat(str(wall_time)) if wall_time else changed


def _people(gallery: Gallery, path: Path) -> list[_StoredItem]:
    """The gallery's people, oldest first, each with their share of the file size."""
    size = path.stat().st_size / max(len(gallery.photos), 1)
    people = [
        _StoredItem(name, datetime.fromtimestamp(person.enrolled or 0.0, UTC), size * len(person.embeddings))
        for name, person in gallery.people.items()
    ]
    return sorted(people, key=lambda item: item.since)


def _changed_at(path: Path | None) -> datetime:
    """A file's modification time; the latest possible time if there is no file, so that nothing counts as old."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC) if path else datetime.max.replace(tzinfo=UTC)
