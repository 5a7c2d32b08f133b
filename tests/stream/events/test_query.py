import csv
import io
import json
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.events.event_store import SqlEventStore
from stream.events.export import write_csv, write_json
from stream.events.jsonl_log import JsonlEventLog
from stream.events.query import EventFilter, query
from stream.results import Event
from tests.stream.support.events import an_event

TEN = datetime(2026, 11, 22, 10, tzinfo=UTC)
INDIA = timezone(timedelta(hours=5, minutes=30))
EVENTS = [
    an_event(0, "Eileen Collins", "lobby", "new", TEN),
    an_event(1, None, "lobby", "new", TEN + timedelta(minutes=1)),
    an_event(2, "山田", "yard", "update", (TEN + timedelta(minutes=2)).astimezone(INDIA)),
    an_event(3, "山田", "yard", "end", None),
]


@pytest.fixture(params=["file", "database"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The four events, once in each kind of log."""
    path = tmp_path / "events"
    where = str(path) if request.param == "file" else f"sqlite:///{path}"
    store = JsonlEventLog(path) if request.param == "file" else SqlEventStore(where)
    for event in EVENTS:
        store.write(event)
    store.close()
    return where


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (EventFilter(), [0, 1, 2, 3]),
        (EventFilter(person="山田"), [2, 3]),
        (EventFilter(person="unknown"), [1]),
        (EventFilter(person="nobody of that name"), []),
        (EventFilter(camera="yard"), [2, 3]),
        (EventFilter(camera="yard", type="end"), [3]),
        (EventFilter(since=TEN + timedelta(minutes=1)), [1, 2]),
        (EventFilter(until=TEN + timedelta(minutes=2)), [0, 1]),
        (EventFilter(since=TEN.astimezone(INDIA), until=TEN + timedelta(minutes=1)), [0]),
        (EventFilter(since=0.04, until=0.12), [1, 2]),
    ],
)
def test_the_filters_agree_in_a_file_and_a_database(log: str, wanted: EventFilter, numbers: list[int]) -> None:
    assert list(query(log, wanted)) == [EVENTS[number].to_json() for number in numbers]


def test_a_line_still_being_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    log = JsonlEventLog(path)
    log.write(EVENTS[0])
    with path.open("ab") as other:
        other.write(b'{"schema":1,"id":"ev')
    assert list(query(str(path))) == [EVENTS[0].to_json()]
    log.close()


@pytest.mark.parametrize("line", [b"not json", b"[]", b'{"schema":1}', b"\xff\xfe", b"[" * 100_000])
def test_a_broken_line_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "e.jsonl"
    log = JsonlEventLog(path)
    log.write(EVENTS[0])
    log.close()
    with path.open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(UsageError, match=r"e.jsonl, line 2 is n"):
        list(query(str(path)))


WRONG = [
    ("schema", "1"), ("type", "seen"), ("camera", 3), ("track", 1.5), ("track", True), ("name", ["Ann"]),
    ("score", "0.6"), ("score", 10**400), ("runner_up", {}), ("runner_up", {"name": "Ann", "score": None}),
    ("restored_score", "x"), ("deblurred_by", ""), ("pts_s", "abc"), ("pts_s", None), ("frame", 0.5),
    ("wall_time", "noon"), ("wall_time", 7), ("wall_time", "2026-11-22T10:00:00"), ("box", [1, 2]),
    ("box", [1, 2, 3, "4"]), ("box", "1234"), ("evidence", 1), ("blur", float("nan")), ("blur", float("inf")),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG, ids=lambda value: str(value)[:20])
def test_a_value_of_a_wrong_kind_is_named(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(f"{json.dumps(EVENTS[0].to_json())}\n{json.dumps(EVENTS[1].to_json() | {key: value})}\n")
    with pytest.raises(UsageError, match=rf"e.jsonl, line 2 is no event of unblur: {key}") as refusal:
        list(query(str(path), EventFilter(since=TEN)))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "value"), [("box", "[1, 2]"), ("box", "[1, "), ("pts_s", "abc"), ("wall_time", "noon")]
)
def test_a_row_of_a_wrong_kind_is_one_error(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "e.sqlite"
    log = SqlEventStore(f"sqlite:///{path}")
    log.write(EVENTS[0])
    log.close()
    with sqlite3.connect(path) as other:
        other.execute(f"UPDATE events SET {key} = ?", [value])
    with pytest.raises(UsageError, match=r"e\.sqlite") as refusal:
        list(query(f"sqlite:///{path}"))
    assert "\n" not in str(refusal.value)


def test_a_foreign_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "any #1?.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE days (day TEXT)")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"1%3F\.db: no such table: events$"):
        list(query(f"sqlite:///{tmp_path}/any #1%3F.db"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_reading_leaves_nothing_beside_the_database(tmp_path: Path) -> None:
    SqlEventStore(f"sqlite:///{tmp_path}/e.sqlite").close()
    assert not list(query(f"sqlite:///{tmp_path}/e.sqlite?timeout=3"))
    assert [file.name for file in tmp_path.iterdir()] == ["e.sqlite"]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="names no file"):
        list(query(url))


def test_no_such_log_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    for where in (str(tmp_path / "none"), f"sqlite:///{tmp_path}/none", f"sqlite:///{tmp_path}"):
        with pytest.raises(UsageError, match="cannot read events"):
            list(query(where))
    assert not list(tmp_path.iterdir())


def test_a_time_needs_a_zone() -> None:
    with pytest.raises(UsageError, match="no time zone"):
        EventFilter(since=datetime(2026, 11, 22))


def test_json_is_what_the_log_holds(tmp_path: Path, log: str) -> None:
    out = io.StringIO()
    write_json(query(log), out)
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [event.to_json() for event in EVENTS]


def in_csv(event: Event) -> dict[str, str]:
    out = io.StringIO(newline="")
    write_csv([event.to_json()], out)
    out.getvalue().encode("utf-8")
    (row,) = csv.DictReader(io.StringIO(out.getvalue(), newline=""))
    return row


def test_csv_has_a_column_for_every_value() -> None:
    row = in_csv(EVENTS[2])
    assert list(row)[:6] == ["schema", "id", "type", "camera", "track", "name"]
    assert (row["runner_up"], row["runner_up_score"], row["restored_score"]) == ("Łukasz", "0.31", "")
    assert (row["x"], row["y"], row["width"], row["height"]) == ("10", "20", "64", "64")
    assert row["raw_score"] == "-0.4", "a negative number is no formula"
    assert row["wall_time"] == "2026-11-22T10:02:00.000Z"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1"])
def test_a_name_is_never_a_formula(name: str) -> None:
    assert in_csv(an_event(0, name))["name"] == f"'{name}"


@given(name=st.text(st.characters(), min_size=1))
def test_any_name_comes_back_from_csv(name: str) -> None:
    shown = in_csv(an_event(0, name))["name"]
    assert shown.removeprefix("'") == name.encode("utf-8", "backslashreplace").decode().removeprefix("'")
