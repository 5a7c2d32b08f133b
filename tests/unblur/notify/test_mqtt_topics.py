"""Home Assistant discovery, render with its own template language."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from stream.results import Event
from tests.stream.support.events import an_event
from unblur.notify.mqtt_topics import Presence, Topics

TOPICS = Topics("unblur")
CAMERA = st.text(min_size=1, max_size=64)


def render(component: str, value: object) -> str:
    """As Home Assistant does it: the payload as `value_json`."""
    _, content = TOPICS.discovery("homeassistant", "lobby")
    components = content["components"]
    assert isinstance(components, dict)
    template = ImmutableSandboxedEnvironment().from_string(components[component]["value_template"])
    return template.render(value_json=json.loads(json.dumps(value)))


def state_after(*events: Event) -> object:
    presence = Presence()
    for event in events:
        presence.note(event)
    return presence.state("lobby")


def test_the_last_person() -> None:
    assert render("last", state_after()) == ""
    assert render("last", state_after(an_event(1, "Ann <Lee>"))) == "Ann <Lee>"
    assert render("last", state_after(an_event(1, "Ann"), an_event(2, None))) == "somebody unknown"
    assert len(render("last", state_after(an_event(1, "A" * 300)))) == 255


def test_presence() -> None:
    assert render("presence", state_after()) == "OFF"
    assert render("presence", state_after(an_event(1), an_event(2, None))) == "ON"
    assert render("presence", state_after(an_event(1), an_event(1, type="update"))) == "ON"
    assert render("presence", state_after(an_event(1), an_event(1, type="end"))) == "OFF"


def test_events_have_their_type_where_home_assistant_expects_it() -> None:
    event = an_event(1, "Ann & 'Lee' <b>").to_json()
    assert json.loads(render("seen", event)) == {**event, "event_type": "new"}


@given(CAMERA, CAMERA)
def test_topics_are_safe_and_no_two_cameras_share_one(one: str, other: str) -> None:
    topic, content = TOPICS.discovery("homeassistant", one)
    assert re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", topic)
    assert re.fullmatch(r"unblur/[A-Za-z0-9._~%-]+/events", TOPICS.events(one))
    if one != other:
        assert TOPICS.events(one) != TOPICS.events(other)
        assert topic != TOPICS.discovery("homeassistant", other)[0]
    assert json.loads(json.dumps(content)) == content
