"""Which events are about a person, and what is left of a log when that person is forgotten."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping

from stream.events.jsonl_log import EventTransform

Event = Mapping[str, object]


def of_person(events: Iterable[Event], person: str, former: Iterable[str] = ()) -> Iterator[Event]:
    """The events, in the order of writing, of every track that ever bore the name, or a `former` one: also those from
    before it was named, which show the same face."""
    names = _names(person, former)
    lives: dict[tuple[object, object], list[Event]] = {}
    for event in events:
        track = event["camera"], event["track"]
        if event["type"] == "new":
            yield from _if_named(lives.pop(track, []), names)
        lives.setdefault(track, []).append(event)
        if event["type"] == "end":
            yield from _if_named(lives.pop(track), names)
    for life in lives.values():
        yield from _if_named(life, names)


def forgetting(person: str, events: Collection[object], former: Iterable[str] = ()) -> EventTransform:
    """Drops the events with these ids and those that bear the name, or a `former` one, and takes it out of all others,
    where it was the runner-up's."""
    names = _names(person, former)

    def change(event: dict[str, object]) -> dict[str, object] | None:
        if event["id"] in events or _is(event, names):
            return None
        return {**event, "runner_up": None} if _is(event["runner_up"], names) else event

    return change


def without(events: Collection[object]) -> EventTransform:
    """Drops the events with these ids."""
    return lambda event: None if event["id"] in events else event


def same_name(name: str, other: str) -> bool:
    """Whether they are one name, however each is encoded."""
    return _names(name) == _names(other)


def _names(person: str, former: Iterable[str] = ()) -> set[str]:
    return {unicodedata.normalize("NFC", name) for name in (person, *former)}


def _if_named(life: list[Event], names: Collection[str]) -> list[Event]:
    return life if any(_is(event, names) for event in life) else []


def _is(named: object, names: Collection[str]) -> bool:
    """Whether an event, or a runner-up, bears one of the names."""
    name = named.get("name") if isinstance(named, Mapping) else None
    return isinstance(name, str) and unicodedata.normalize("NFC", name) in names
