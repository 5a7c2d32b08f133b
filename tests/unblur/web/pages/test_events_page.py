"""The events as clients see them, over HTTP."""

from __future__ import annotations

import csv
import io
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import cv2
import httpx2 as httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stream.support.events import fill
from tests.unblur.web.support.register import COLOURS, EVENTS, Register, seen
from unblur.people.photo_review import Rejection

API = "/api/v1/events"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    opened = Register(tmp_path)
    opened.see(*EVENTS)
    yield opened
    opened.close()


@pytest.fixture
def client(register: Register) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=register.watching.address, timeout=30) as asking:
        yield asking


def numbers(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(event["id"].removeprefix("event-")) for event in answer.json()["events"]]


def test_events_are_those_of_the_log_newest_first(client: httpx.Client) -> None:
    answer = client.get(API)
    assert numbers(answer) == [4, 2, 1, 0, 3], "the one without a wall time comes last"
    assert answer.json()["next"] is None
    assert answer.json()["events"][1] == EVENTS[2].to_json() | {"feedback": None}
    assert client.get(f"{API}/event-2").json() == EVENTS[2].to_json() | {"feedback": None, "history": []}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"person": "山田"}, [2, 3]),
        ({"person": "unknown"}, [4, 1]),
        ({"known": "true"}, [2, 0, 3]),
        ({"known": "false", "camera": "lobby"}, [4, 1]),
        ({"camera": "yard", "type": "end"}, [3]),
        ({"restored": "false"}, [1]),
        ({"restored": "true", "person": "unknown"}, [4]),
        ({"since": "2026-11-22T10:01:00Z", "until": "2026-11-22T10:04:00Z"}, [2, 1]),
        ({"since": "2026-11-22T10:01"}, [4, 2, 1]),
        ({"since": "2026-11-22T15:32:00+05:30"}, [4, 2]),
        ({"person": "", "known": "", "camera": ""}, [4, 2, 1, 0, 3]),
        ({"person": "eileen COLLINS"}, [0]),
        ({"person": "Unknown"}, [4, 1]),
        ({"person": "nobody of that name"}, []),
    ],
)
def test_what_is_searched_is_found_in_every_form(client: httpx.Client, asked: dict[str, str], found: list[int]) -> None:
    assert numbers(client.get(API, params=asked)) == found
    lines = client.get(f"{API}.jsonl", params=asked).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"event-{number}" for number in found]
    page = client.get("/events", params=asked).text
    assert [number for number in range(5) if f'id="event-event-{number}"' in page] == sorted(found)


def test_pages_follow_each_other_to_the_end(client: httpx.Client) -> None:
    place: dict[str, str] = {}
    found = []
    for expected in (2, 2, 1):
        answer = client.get(API, params={"limit": "2", **place})
        assert len(numbers(answer)) == expected
        found += numbers(answer)
        place = {"before": answer.json()["next"]}
    assert place == {"before": None}
    assert found == [4, 2, 1, 0, 3]


def test_pages_can_be_turned_without_scripts(client: httpx.Client) -> None:
    page = client.get("/events", params={"limit": "2", "known": "true"}).text
    older = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    following = client.get(older).text
    assert 'id="event-event-3"' in following
    assert 'id="event-event-2"' not in following
    assert 'rel="next"' not in following


HOSTILE = [
    {"before": "1_1; DROP TABLE events"}, {"before": "nan_1"}, {"before": f"1_{10**30}"}, {"before": "../../etc"},
    {"limit": "0"}, {"limit": "501"}, {"limit": "many"}, {"type": "seen"}, {"known": "perhaps"}, {"since": "noon"},
    {"since": "0001-01-01T00:00:00+14:00"}, {"until": "9999-12-31T23:59:59-14:00"}, {"since": "1e999"},
]  # fmt: skip


@pytest.mark.parametrize("asked", HOSTILE, ids=str)
def test_what_cannot_be_searched_is_told(client: httpx.Client, asked: dict[str, str]) -> None:
    assert client.get(API, params=asked).status_code == 400
    page = client.get("/events", params=asked)
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert "event-event-" not in page.text
    assert "pydantic" not in page.text


def test_who_is_unknown_in_spite_of_the_score_is_explained(client: httpx.Client) -> None:
    explanation = "Looks like a known person (0."
    assert explanation in client.get("/events/event-1").text
    assert explanation not in client.get("/events/event-0").text
    assert client.get("/events").text.count(f"\n{explanation}") == 2


def test_what_can_be_read_stays_in_the_form(client: httpx.Client) -> None:
    page = client.get("/events", params={"person": "Ann", "camera": "yard", "since": "noon"}).text
    assert "&#34;From&#34; is not a valid time." in page
    assert "<option selected>Ann</option>" in page
    assert '<option value="yard" selected>' in page


def test_a_span_that_ends_before_it_begins_is_told(client: httpx.Client) -> None:
    page = client.get("/events", params={"since": "2026-11-22T10:04", "until": "2026-11-22T10:01"})
    assert page.status_code == 400
    assert "&#34;From&#34; is later than &#34;To&#34;." in page.text
    assert 'value="2026-11-22T10:04:00"' in page.text


def test_names_in_several_capitals_are_one(client: httpx.Client, register: Register) -> None:
    register.see(seen(8, "EILEEN Collins"))
    assert numbers(client.get(API, params={"person": "Eileen Collins"})) == [8, 0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(text=st.text(max_size=30))
def test_any_text_can_be_searched_and_any_id_asked_for(client: httpx.Client, text: str) -> None:
    given_ = {"person": text, "camera": text}
    assert client.get(API, params=given_).status_code == 200
    assert client.get("/events", params=given_).status_code == 200
    name = quote(text, safe="")
    for path in (f"{API}/x{name}", f"/events/x{name}", f"/evidence/x{name}/raw.png"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "name", ["..%2fevent-0", "%2e%2e", "%00", "%ff", "event-0%00", "event-0.raw.png%23", "a" * 5000]
)
def test_an_id_leads_nowhere_but_to_the_store(client: httpx.Client, name: str) -> None:
    for path in (f"{API}/{name}", f"/events/{name}", f"/evidence/{name}/raw.png"):
        assert client.get(path).status_code == 404
    assert client.post(f"{API}/{name}/feedback", json={"verdict": "right"}).status_code == 404
    assert client.post(f"/events/{name}/feedback", content="verdict=right", headers=FORM).status_code == 404


def test_the_pictures_are_those_of_the_evidence(client: httpx.Client, register: Register) -> None:
    for kind, colour in COLOURS.items():
        answer = client.get(f"/evidence/event-0/{kind}.png")
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Cache-Control"].startswith("private")
        picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert (picture == colour).all()
    assert client.get("/evidence/event-1/restored.png").status_code == 404, "it was left alone"
    assert client.get("/evidence/event-4/raw.png").status_code == 404, "it has no evidence"
    assert client.get("/evidence/event-0/blurred.png").status_code == 404
    (register.folder / "event-0.raw.png").unlink()
    assert client.get("/evidence/event-0/raw.png").status_code == 404


def test_an_id_that_is_a_path_is_not_followed(client: httpx.Client, register: Register) -> None:
    """As another program could have stored it."""
    (register.folder / "inside").mkdir()
    register.store.write(replace(seen(7), id="inside/secret", evidence="secret"))
    (register.folder / "inside" / "secret.raw.png").write_bytes(b"secret")
    assert client.get(f"{API}/inside%2Fsecret").status_code == 200
    assert client.get("/evidence/inside%2Fsecret/raw.png").status_code == 404


def test_the_latest_word_counts_and_the_others_are_kept(client: httpx.Client, register: Register) -> None:
    said = [{"verdict": "right"}, {"verdict": "wrong", "person": "Ann"}, {"verdict": "wrong"}]
    for each in said:
        assert client.post(f"{API}/event-0/feedback", json=each).status_code == 200
    event = client.get(f"{API}/event-0").json()
    assert [(one["verdict"], one["person"], one["who"]) for one in event["history"]] == [
        ("wrong", None, "Ada"), ("wrong", "Ann", "Ada"), ("right", "Eileen Collins", "Ada"),
    ]  # fmt: skip
    assert event["feedback"] == event["history"][0]
    listed = {one["id"]: one["feedback"] for one in client.get(API).json()["events"]}
    assert listed.pop("event-0") == event["feedback"]
    assert set(listed.values()) == {None}
    assert register.noted == [
        ("Ada", "feedback: right, Eileen Collins", "event-0"),
        ("Ada", "feedback: wrong, Ann", "event-0"),
        ("Ada", "feedback: wrong", "event-0"),
    ]


def test_the_crop_as_the_camera_saw_it_is_added_to_the_person(client: httpx.Client, register: Register) -> None:
    answer = client.post(f"{API}/event-1/feedback", json={"verdict": "added", "person": "Ann"})
    assert answer.json()["feedback"]["verdict"] == "added"
    ((person, crop, who),) = register.added
    assert (person, who) == ("Ann", "Ada")
    assert (crop == COLOURS["raw"]).all()


def test_a_crop_that_cannot_be_added_changes_nothing(client: httpx.Client, register: Register) -> None:
    (register.folder / "event-0.raw.png").write_bytes(b"no picture")
    refused = [("event-0", "Ann"), ("event-4", "Ann"), ("event-1", None)]
    for event, person in refused:
        answer = client.post(f"{API}/{event}/feedback", json={"verdict": "added", "person": person})
        assert answer.status_code == 400
    register.complaint = Rejection("too blurred", "unfit")
    answer = client.post("/events/event-1/feedback", content="verdict=added&person=Ann", headers=FORM)
    assert answer.status_code == 400
    assert "too blurred" in answer.text
    assert not register.noted
    assert not register.added
    assert {one["feedback"] for one in client.get(API).json()["events"]} == {None}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"verdict": "maybe"},
        {"verdict": "wrong", "person": "  "},
        {"verdict": "wrong", "person": "x" * 81},
        {"verdict": "wrong", "person": "Ann\nLee"},
        {"verdict": "wrong", "person": "UNKNOWN"},
        {"verdict": "wrong", "person": "Ann\u202e"},
        {"verdict": "wrong", "person": 7},
    ],
)
def test_what_means_nothing_is_refused(client: httpx.Client, said: dict[str, object]) -> None:
    assert client.post(f"{API}/event-0/feedback", json=said).status_code == 400


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("verdict=maybe", "application/x-www-form-urlencoded"),
        ("", "application/x-www-form-urlencoded"),
        ("verdict=right", "text/plain"),
        ("--x\r\n", "multipart/form-data; boundary=x"),
        ("verdict=%ff%00", "application/x-www-form-urlencoded; charset=nothing"),
        ("&" * 999, "application/x-www-form-urlencoded"),
    ],
)
def test_a_form_that_means_nothing_is_refused(client: httpx.Client, content: str, kind: str) -> None:
    answer = client.post("/events/event-0/feedback", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400


def test_the_address_of_a_refused_form_leads_back_to_the_event(client: httpx.Client) -> None:
    answer = client.get("/events/event-0/feedback")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/events/event-0")


def test_half_a_surrogate_pair_is_no_name(client: httpx.Client) -> None:
    content = '{"verdict": "wrong", "person": "\\ud800"}'
    answer = client.post(f"{API}/event-0/feedback", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_a_viewer_looks_and_says_nothing(client: httpx.Client, register: Register) -> None:
    register.role = "viewer"
    assert client.get("/events").status_code == client.get(f"{API}.csv").status_code == 200
    page = client.get("/events/event-0")
    assert page.status_code == 200
    assert "<form" not in page.text
    assert client.post(f"{API}/event-0/feedback", json={"verdict": "right"}).status_code == 403
    answer = client.post("/events/event-0/feedback", content="verdict=right", headers=FORM)
    assert answer.status_code == 403
    assert client.get(f"{API}/event-0").json()["history"] == []


def test_a_table_opens_with_what_was_said(client: httpx.Client) -> None:
    client.post(f"{API}/event-2/feedback", json={"verdict": "wrong", "person": "=1+1"})
    answer = client.get(f"{API}.csv", params={"camera": "yard"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="events.csv"'
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [(row["id"], row["name"], row["feedback"]) for row in rows] == [
        ("event-2", "山田", "wrong"),
        ("event-3", "山田", ""),
    ]
    assert rows[0]["feedback_person"] == "'=1+1", "a name is never a formula"
    assert rows[0]["feedback_who"] == "Ada"


def test_json_lines_are_the_log_with_what_was_said(client: httpx.Client) -> None:
    client.post(f"{API}/event-0/feedback", json={"verdict": "right"})
    answer = client.get(f"{API}.jsonl")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="events.jsonl"'
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == client.get(API).json()["events"]


def test_many_events_are_paged_at_once_and_exported_in_parts(tmp_path: Path) -> None:
    register = Register(tmp_path)
    register.see(seen(0))
    fill(register.url, 100_000)
    with httpx.Client(base_url=register.watching.address, timeout=60) as client:
        client.get("/events")  # templates are read once
        started = time.process_time()
        page = client.get("/events", params={"person": "Ann"})
        assert time.process_time() - started < 1
        assert 'id="event-event-99999"' in page.text
        ids = set()
        with client.stream("GET", f"{API}.csv", params={"since": "2026-11-23T12:00:00Z"}) as answer:
            assert answer.headers["Transfer-Encoding"] == "chunked"
            for row in csv.DictReader(answer.iter_lines()):
                assert row["id"] not in ids
                ids.add(row["id"])
        assert len(ids) == 100_000 - 26 * 3600 + 1
    register.close()


def test_who_leaves_amid_an_export_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    register = Register(tmp_path)
    register.see(seen(0))
    fill(register.url, 50_000)
    with httpx.stream("GET", f"{register.watching.address}{API}.jsonl") as answer:
        assert next(answer.iter_lines())
    register.close()  # after the requests at hand
    assert not [said.getMessage() for said in caplog.records if said.levelname == "ERROR"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_export_ends_with_the_session_and_does_not_look_whole(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    register, looks = Register(tmp_path), itertools.count()
    register.see(seen(0))
    fill(register.url, 5_000)
    register.stays = lambda: next(looks) < 2
    read = list[str]()
    url = f"{register.watching.address}{API}.{kind}"
    with httpx.stream("GET", url) as answer, pytest.raises(httpx.RemoteProtocolError):
        read.extend(answer.iter_lines())
    assert 0 < len(read) < 5_000
    assert next(looks) == 3
    register.close()
    assert not [said.getMessage() for said in caplog.records if said.levelname == "ERROR"]


def test_the_operations_are_described(client: httpx.Client) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert {"/api/v1/events", "/api/v1/events/{id}", "/api/v1/events/{id}/feedback", "/api/v1/events.csv"} <= set(paths)
    assert {each["name"] for each in paths["/api/v1/events"]["get"]["parameters"]} == {
        "person", "known", "camera", "since", "until", "restored", "type", "before", "limit",
    }  # fmt: skip
