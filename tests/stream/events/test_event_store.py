import itertools
import random
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import SQLAlchemyError

from stream.errors import OutputError, StorageError
from stream.events.event_store import SqlEventStore
from stream.events.query import query
from stream.storage.database import DURABLE, connect
from tests.stream.events.test_jsonl_log import kill_while_writing, no_room
from tests.stream.support.events import an_event
from tests.stream.support.events import fill as fill_up


def url(path: Path) -> str:
    return f"sqlite:///{path / 'events.sqlite'}"


def test_events_come_back_as_they_were_in_the_order_of_writing(tmp_path: Path) -> None:
    store = SqlEventStore(url(tmp_path))
    written = [
        an_event(n, None if n == 1 else "山田", wall_time=datetime(2026, 1, n + 1, tzinfo=UTC)) for n in (2, 1, 3)
    ]
    for event in written:
        store.write(event)
    store.close()
    read = list(query(url(tmp_path)))
    assert read == [event.to_json() for event in written]
    assert [list(record) for record in read] == [list(event.to_json()) for event in written]


def test_an_id_written_twice_is_one_event_the_later_one(tmp_path: Path) -> None:
    for name in ("Somebody", "Somebody Else"):
        store = SqlEventStore(url(tmp_path))
        store.write(an_event(0, name))
        store.write(an_event(1))
        store.close()
    assert [(record["id"], record["name"]) for record in query(url(tmp_path))] == [
        ("event-0", "Somebody Else"),
        ("event-1", "Eileen Collins"),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(name=st.text(st.characters(), min_size=1))
def test_any_name_can_be_stored(tmp_path: Path, name: str) -> None:
    store = SqlEventStore(url(tmp_path))
    store.write(an_event(0, name))
    store.close()
    (record,) = query(url(tmp_path))
    assert record["name"] == name.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_loses_nothing_that_was_announced(tmp_path: Path, seed: int) -> None:
    announced = kill_while_writing(url(tmp_path), random.Random(seed).randint(1, 200))
    stored = [str(record["id"]) for record in query(url(tmp_path))]
    assert stored[: len(announced)] == announced
    assert len(stored) <= len(announced) + 1
    SqlEventStore(url(tmp_path)).close()


def test_others_read_while_it_writes(tmp_path: Path) -> None:
    store = SqlEventStore(url(tmp_path))
    store.write(an_event(0))
    done = threading.Event()
    counts: list[int] = []

    def read() -> None:
        while not done.is_set():
            counts.append(len(list(query(url(tmp_path)))))

    reader = threading.Thread(target=read)
    reader.start()
    number = 0
    while len(set(counts)) < 5:
        number += 1
        store.write(an_event(number))
    done.set()
    reader.join()
    store.close()
    assert counts == sorted(counts)
    assert len(list(query(url(tmp_path)))) == number + 1


def test_what_is_committed_survives_a_power_cut(tmp_path: Path) -> None:
    """In WAL mode only synchronous=FULL flushes the log at every commit (sqlite.org/pragma.html)."""
    store = SqlEventStore(url(tmp_path))
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def test_a_full_disk_is_one_clear_error_and_leaves_a_whole_database(tmp_path: Path) -> None:
    store = SqlEventStore(url(tmp_path))
    store.write(an_event(0))
    with sqlite3.connect(tmp_path / "events.sqlite") as other:
        pages = other.execute("PRAGMA page_count").fetchone()[0]
    with store._writer.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(StorageError, match="database or disk is full; make room") as refusal:
        fill(store)
    assert "\n" not in str(refusal.value)
    store.close()
    stored = [record["id"] for record in query(url(tmp_path))]
    assert stored == [f"event-{n}" for n in range(len(stored))]
    with sqlite3.connect(tmp_path / "events.sqlite") as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_disk_that_is_full_at_the_start_is_left_as_it_was(tmp_path: Path) -> None:
    with no_room(), pytest.raises(OutputError, match=r"cannot log to sqlite:.*; name another database"):
        SqlEventStore(url(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_database_that_others_made_meanwhile_is_kept(tmp_path: Path) -> None:
    """Only what the disk refused is taken away again."""

    def make(*_: object) -> None:
        with sqlite3.connect(tmp_path / "events.sqlite") as other:
            other.execute("CREATE TABLE events (day TEXT)")

    sql.event.listen(sql.Engine, "connect", make, once=True)
    with pytest.raises(OutputError, match="no such column"):
        SqlEventStore(url(tmp_path))
    assert (tmp_path / "events.sqlite").exists()


def fill(store: SqlEventStore) -> None:
    for number in range(1, 1000):
        store.write(an_event(number))


def not_a_url(tmp_path: Path) -> str:
    return "events.sqlite"


def no_driver(tmp_path: Path) -> str:
    return "oracle+nothing://somebody:hunter2@host/db"


def in_memory(tmp_path: Path) -> str:
    return "sqlite://"


def no_number(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/events.sqlite?timeout=soon"


def no_folder(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/none/events.sqlite"


def not_a_database(tmp_path: Path) -> str:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff" * 2000)
    return f"sqlite:///{tmp_path}/photo.jpg"


def another_table(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE events (day TEXT)")
    return f"sqlite:///{tmp_path}/other.sqlite"


@pytest.mark.parametrize(
    "place", [not_a_url, no_driver, in_memory, no_number, no_folder, not_a_database, another_table]
)
def test_a_database_that_cannot_be_used_is_one_clear_error(tmp_path: Path, place: object) -> None:
    assert callable(place)
    where = place(tmp_path)
    with pytest.raises(OutputError) as refusal:
        SqlEventStore(where)
    assert "\n" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_what_a_database_complains_of_names_nobody(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'events.sqlite'}")
    with engine.connect() as connection, pytest.raises(SQLAlchemyError, match="no such table") as complaint:
        connection.execute(sql.text("INSERT INTO persons VALUES (:name)"), {"name": "Zoe"})
    engine.dispose()
    assert "Zoe" not in str(complaint.value)


def held(folder: Path) -> bytes:
    """Everything in SQLite's files."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


def filled(folder: Path, count: int) -> SqlEventStore:
    """Every other event is Ann's, the others nobody's."""
    store = SqlEventStore(url(folder))
    store.write(an_event(1, "Ann", wall_time=datetime(2026, 1, 1, tzinfo=UTC)))
    fill_up(url(folder), count)
    return store


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """While this process reads the store again and again."""
    done, begun = threading.Event(), threading.Event()

    def read() -> None:
        while not done.is_set():
            for _ in itertools.islice(query(url(folder)), 50):
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait()
    try:
        yield
    finally:
        done.set()
        reader.join()


def without_hers(event: dict[str, object]) -> dict[str, object] | None:
    return None if event["name"] == "Zoë Gone" else event


def test_what_is_deleted_is_gone_from_the_files_once_nobody_reads_the_old_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.storage.database._TRIES", 2)
    store = SqlEventStore(url(tmp_path))
    for number in range(200):
        store.write(an_event(number, "Zoë Gone" if number % 2 else "Ann"))
    with closing(sqlite3.connect(tmp_path / "events.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchone()
        with pytest.raises(StorageError, match="has been reading it: end other programs that do, and try again"):
            store.rewrite_events(without_hers)
        reader.execute("ROLLBACK")
    assert store.rewrite_events(lambda event: event) == 0
    assert "Zoë Gone".encode() not in held(tmp_path)
    assert {event["name"] for event in query(url(tmp_path))} == {"Ann"}
    store.close()


@pytest.mark.parametrize("how", ["amended", "dropped"])
def test_pages_that_are_read_meanwhile_keep_nothing_of_what_is_deleted(tmp_path: Path, how: str) -> None:
    store = SqlEventStore(url(tmp_path))
    for number in range(200):
        store.write(an_event(number, "Zoë Gone" if number % 2 else "Ann"))
    hers = [f"event-{number}" for number in range(1, 200, 2)]
    with reading(tmp_path):
        assert (store.rewrite_events(without_hers) if how == "amended" else store.drop(hers)) == 100
        assert (tmp_path / "events.sqlite-wal").stat().st_size == 0
        assert "Zoë Gone".encode() not in held(tmp_path)
    assert {event["name"] for event in query(url(tmp_path))} == {"Ann"}
    store.close()


@pytest.mark.parametrize("how", ["amended", "dropped"])
def test_whoever_writes_waits_for_what_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """SQLite would refuse them once their patience ends, of which there is none here."""
    monkeypatch.setattr("stream.storage.database.DURABLE", (*DURABLE, "busy_timeout=0"))
    store = filled(tmp_path, 10_000)
    ids = [f"event-{number}" for number in range(1, 5001)]
    gone = set(ids)
    delete = (
        partial(store.drop, ids)
        if how == "dropped"
        else partial(store.rewrite_events, lambda event: drop_of(gone, event))
    )
    with ThreadPoolExecutor(1) as other:
        deleting, written = other.submit(delete), 0
        while not deleting.done():
            store.write(an_event(20_000 + written, "Bob"))
            written += 1
        assert deleting.result() == 5000
    assert len(list(query(url(tmp_path)))) == 5000 + written
    store.close()


def drop_of(gone: set[str], event: dict[str, object]) -> dict[str, object] | None:
    return None if event["id"] in gone else event


def test_many_events_are_dropped_a_few_at_a_time_so_that_others_can_write_between(tmp_path: Path) -> None:
    store = filled(tmp_path, 3000)
    written: list[int] = []

    def between(_: object, __: object, statement: str, *___: object) -> None:
        if "PASSIVE" in statement:
            assert not store._lock.locked()
            written.append(len(written))
            store.write(an_event(9000 + len(written)))

    sql.event.listen(store._engine, "before_cursor_execute", between)
    assert store.drop([f"event-{number}" for number in range(1, 2501)]) == 2500
    assert len(written) > 5
    store.close()


def test_what_is_free_in_the_file_counts_as_room(tmp_path: Path) -> None:
    store = filled(tmp_path, 3000)
    before, file = store.size(), tmp_path / "events.sqlite"
    store.drop([f"event-{number}" for number in range(1, 2501)])
    after = store.size()
    assert before
    assert after
    assert after < before / 3
    assert file.stat().st_size > before * 0.9
    store.rewrite_events(lambda event: {**event, "name": None} if event["name"] else event)
    assert file.stat().st_size < before / 3
    store.close()
