import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from stream.errors import UsageError
from stream.events.event_store import SqlEventStore
from stream.events.pagination import Cursor, EventPager, _parts
from stream.events.query import EventFilter, TimeBound, query
from stream.events.schema import EventDict
from stream.results import Event, EventType
from stream.values import Method
from tests.stream.support.events import an_event, fill

TEN = datetime(2026, 11, 22, 10, tzinfo=UTC)
MINUTES = st.integers(0, 5).map(lambda minutes: TEN + timedelta(minutes=minutes))
NAMES = st.sampled_from(["Ann", "Bo", "unknown"])
CAMERAS = st.sampled_from(["lobby", "yard"])
TYPES: st.SearchStrategy[EventType] = st.sampled_from(["new", "update", "end"])


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """A few, with the same times and names again and again, in no order of time."""
    made = []
    for number in range(draw(st.integers(0, 12))):
        kind: EventType = draw(TYPES)
        method: Method = draw(st.sampled_from(["cnn", "richardson-lucy", "none"]))
        event = an_event(number, draw(st.none() | NAMES), draw(CAMERAS), kind, draw(st.none() | MINUTES))
        made.append(replace(event, identity=replace(event.identity, deblurred_by=method)))
    return made


def filters(person: st.SearchStrategy[str], moment: st.SearchStrategy[TimeBound]) -> st.SearchStrategy[EventFilter]:
    return st.builds(
        EventFilter,
        person=st.none() | person,
        camera=st.none() | CAMERAS,
        since=st.none() | moment,
        until=st.none() | moment,
        type=st.none() | TYPES,
        known=st.none() | st.booleans(),
        restored=st.none() | st.booleans(),
    )


def newest_first(records: list[EventDict]) -> list[EventDict]:
    """By wall time, those without one last; of the same time, the one written last first."""
    numbered = sorted(enumerate(records), key=lambda one: (str(one[1]["wall_time"] or ""), one[0]), reverse=True)
    return [record for _, record in numbered]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Addresses of stores that are not there yet."""
    folder = tmp_path_factory.mktemp("stores")
    return (f"sqlite:///{folder}/{number}.sqlite" for number in itertools.count())


@settings(max_examples=40, deadline=None)
@given(written=events(), wanted=filters(NAMES, MINUTES | st.floats(0, 0.5)), most=st.integers(1, 5))
def test_the_pages_are_what_the_plain_filter_leaves_newest_first(
    stores: Iterator[str], written: list[Event], wanted: EventFilter, most: int
) -> None:
    url = next(stores)
    store = SqlEventStore(url)
    for event in written:
        store.write(event)
    store.close()
    archive, read, place = EventPager(url), [], None
    for _ in range(len(written) + 1):
        leaf = archive.page(wanted, place, most)
        assert len(leaf.records) == most if leaf.next else len(leaf.records) <= most
        read += leaf.records
        if leaf.next is None:
            break
        place = Cursor.parse(str(leaf.next))
        assert place == leaf.next
    archive.close()
    expected = [event.to_json() for event in written if wanted.wants(event.to_json())]
    assert read == newest_first(expected)
    assert list(query(url, wanted)) == expected


@pytest.fixture
def many(tmp_path: Path) -> str:
    """100,000 events, one a second; the very last of a camera of its own, and nobody was ever restored."""
    url = f"sqlite:///{tmp_path}/e.sqlite"
    store = SqlEventStore(url)
    first = an_event(0, None, wall_time=TEN)
    store.write(replace(first, identity=replace(first.identity, deblurred_by="none")))
    store.close()
    fill(url, 100_000)
    return url


def test_a_page_takes_as_long_however_many_there_are(many: str) -> None:
    archive = EventPager(many)
    searches = {
        EventFilter(): 50,
        EventFilter(person="Ann"): 50,
        EventFilter(person="nobody of that name"): 0,
        EventFilter(known=False): 50,
        EventFilter(camera="attic"): 1,
        EventFilter(restored=True): 0,
        EventFilter(since=TEN + timedelta(hours=1), until=TEN + timedelta(hours=2)): 50,
    }
    middle = Cursor(TEN.timestamp() + 50_000, 50_000)
    for (wanted, count), place in itertools.product(searches.items(), (None, middle)):
        started = time.process_time()
        leaf = archive.page(wanted, place, 50)
        assert time.process_time() - started < 2  # reading all takes many seconds
        assert len(leaf.records) == count or (wanted.camera and place)
    assert archive.names(9) == ["Ann"]
    assert archive.cameras(9) == ["attic", "lobby"]
    assert archive.latest() == "event-100000"
    assert archive.find("event-77") is not None
    assert archive.find("event-0'; DROP TABLE events") is None
    archive.close()


@pytest.fixture(scope="module")
def empty(stores: Iterator[str]) -> Iterator[sql.Connection]:
    url = next(stores)
    SqlEventStore(url).close()
    engine = sql.create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@settings(max_examples=150, deadline=None)
@given(wanted=filters(st.just("Ann"), MINUTES), place=st.sampled_from([None, Cursor(1.5, 3), Cursor(None, 4)]))
def test_no_search_is_sorted_by_the_database(empty: sql.Connection, wanted: EventFilter, place: Cursor | None) -> None:
    """What is sorted has been read to its end. Only "unknown", which is a name and none, is looked up twice."""
    for part in _parts(wanted, place):
        text = part.limit(5).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        (step,) = [row[-1] for row in empty.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
        assert "USING INDEX events_" in step


def test_a_page_goes_on_where_the_last_one_ended_whatever_was_written_meanwhile(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/e.sqlite"
    store = SqlEventStore(url)
    for number in range(10):
        store.write(an_event(number, wall_time=TEN + timedelta(seconds=number)))
    archive = EventPager(url)
    first = archive.page(EventFilter(), None, 4)
    store.write(an_event(10, wall_time=TEN + timedelta(minutes=1)))
    second = archive.page(EventFilter(), first.next, 4)
    assert [record["id"] for record in second.records] == [f"event-{number}" for number in (5, 4, 3, 2)]
    store.close()
    archive.close()


def test_a_store_of_an_earlier_version_gets_the_new_indices(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/e.sqlite"
    SqlEventStore(url).close()
    engine = sql.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX events_restored")
    SqlEventStore(url).close()
    assert "events_restored" in {index["name"] for index in sql.inspect(engine).get_indexes("events")}
    engine.dispose()


@pytest.mark.parametrize(
    "text", ["", "_", "1.5", "a_1", "1e9_1", "nan_1", "inf_1", f"1_{10**18}", "1_1 ", "1_-1", "1_1\n", "１_1"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        Cursor.parse(text)


def test_no_such_store_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        EventPager(f"sqlite:///{tmp_path}/e.sqlite")
    assert not list(tmp_path.iterdir())
