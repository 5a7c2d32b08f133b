"""Erasure of a person from a log: which events are about the person, and how the others change."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping

from stream.events.jsonl_log import EventTransform

EventKeys = Mapping[str, object]


def of_person(events: Iterable[EventKeys], person: str, former: Iterable[str] = ()) -> Iterator[EventKeys]:
    """Yield the events, in the order of writing, of every track that ever had the name, or a `former` one: also its
    events before it was named, which show the same face."""
    names = _names(person, former)
    open_tracks: dict[tuple[object, object], list[EventKeys]] = {}
    for event in events:
        track = event["camera"], event["track"]
        if event["type"] == "new":
            yield from _if_named(open_tracks.pop(track, []), names)
        open_tracks.setdefault(track, []).append(event)
        if event["type"] == "end":
            yield from _if_named(open_tracks.pop(track), names)
    for track_events in open_tracks.values():
        yield from _if_named(track_events, names)


def forgetting(person: str, events: Collection[object], former: Iterable[str] = ()) -> EventTransform:
    """Return a transform that drops the events with these ids and those with the name, or a `former` one, and removes
    the name from all others, where it is the runner-up."""
    names = _names(person, former)

    def change(event: dict[str, object]) -> dict[str, object] | None:
        if event["id"] in events or _has_name(event, names):
            return None
        return {**event, "runner_up": None} if _has_name(event["runner_up"], names) else event

    return change


def without(events: Collection[object]) -> EventTransform:
    """Return a transform that drops the events with these ids."""
    return lambda event: None if event["id"] in events else event


def same_name(name: str, other: str) -> bool:
    """Whether two names are equal after Unicode normalization."""
    return _names(name) == _names(other)


def _names(person: str, former: Iterable[str] = ()) -> set[str]:
    return {unicodedata.normalize("NFC", name) for name in (person, *former)}


def _if_named(track_events: list[EventKeys], names: Collection[str]) -> list[EventKeys]:
    return track_events if any(_has_name(event, names) for event in track_events) else []


def _has_name(named: object, names: Collection[str]) -> bool:
    """Whether an event, or a runner-up, has one of the names."""
    name = named.get("name") if isinstance(named, Mapping) else None
    return isinstance(name, str) and unicodedata.normalize("NFC", name) in names
