"""Which events are about a person, and what is left of the others."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from stream.events.erasure import forgetting, of_person
from tests.unblur.support.kept import ERASED, ERASED_EVENTS, make_events

EVENTS = [event.to_json() for event in make_events()]


def test_what_was_seen_of_a_track_before_it_was_named_is_about_the_person_too() -> None:
    assert {event["id"] for event in of_person(EVENTS, ERASED)} == ERASED_EVENTS
    assert {event["id"] for event in of_person(EVENTS, "Bob")} == {"event-5", "event-6"}
    assert not list(of_person(EVENTS, "unknown"))


def test_a_name_is_the_same_however_it_is_encoded() -> None:
    assert {event["id"] for event in of_person(EVENTS, unicodedata.normalize("NFD", ERASED))} == ERASED_EVENTS


def test_others_keep_their_events_without_the_name() -> None:
    change = forgetting(ERASED, ERASED_EVENTS)
    left = [change(event) for event in EVENTS]
    assert [event is None for event in left] == [event["id"] in ERASED_EVENTS for event in EVENTS]
    assert left[2] == {**EVENTS[2], "runner_up": None}
    assert left[5:] == EVENTS[5:]


def test_an_event_that_bears_the_name_goes_though_its_track_was_not_followed() -> None:
    assert forgetting(ERASED, ())(EVENTS[1]) is None


KINDS, NAMES = st.sampled_from(["new", "update", "end"]), st.sampled_from(["A", "B", None])


@given(st.lists(st.tuples(KINDS, st.integers(0, 2), NAMES)))
def test_no_event_that_bears_the_name_is_passed_over(seen: list[tuple[str, int, str | None]]) -> None:
    events = [
        {"id": number, "camera": "c", "track": track, "type": kind, "name": name}
        for number, (kind, track, name) in enumerate(seen)
    ]
    about = [event["id"] for event in of_person(events, "A")]
    assert len(about) == len(set(about))
    assert {event["id"] for event in events if event["name"] == "A"} <= set(about)
