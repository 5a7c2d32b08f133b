"""Which events are about a person, and what is left of a log when that person is forgotten."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping

from stream.eventlog import Change

Event = Mapping[str, object]


def of_person(events: Iterable[Event], person: str) -> Iterator[Event]:
    """The events, in the order of writing, of every track that ever bore the name: also those from before it was named,
    which show the same face."""
    lives: dict[tuple[object, object], list[Event]] = {}
    for event in events:
        track = event["camera"], event["track"]
        if event["type"] == "new":
            yield from _if_named(lives.pop(track, []), person)
        lives.setdefault(track, []).append(event)
        if event["type"] == "end":
            yield from _if_named(lives.pop(track), person)
    for life in lives.values():
        yield from _if_named(life, person)


def forgetting(person: str, events: Collection[object]) -> Change:
    """Drops the events with these ids and those that bear the name, and takes it out of all others, where it was the
    runner-up's."""

    def change(event: dict[str, object]) -> dict[str, object] | None:
        if event["id"] in events or _is(event, person):
            return None
        return {**event, "runner_up": None} if _is(event["runner_up"], person) else event

    return change


def without(events: Collection[object]) -> Change:
    """Drops the events with these ids."""
    return lambda event: None if event["id"] in events else event


def same_name(name: str, other: str) -> bool:
    """Whether they are one name, however each is encoded."""
    return unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)


def _if_named(life: list[Event], person: str) -> list[Event]:
    return life if any(_is(event, person) for event in life) else []


def _is(named: object, person: str) -> bool:
    """Whether an event, or a runner-up, bears the name."""
    name = named.get("name") if isinstance(named, Mapping) else None
    return isinstance(name, str) and same_name(name, person)
