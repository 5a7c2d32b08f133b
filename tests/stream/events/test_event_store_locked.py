"""Another program holds the event store locked: nothing is lost, nothing ends, and nothing is out of order."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from stream.errors import OutputError, StorageError
from stream.events import event_store
from stream.events.erasure import without
from stream.events.event_store import SqlEventStore
from stream.events.query import EventFilter, query
from stream.storage import spool
from stream.storage.spool import spool_files
from tests.stream.events.test_jsonl_log import kill_while_writing
from tests.stream.support.events import an_event


def url(path: Path) -> str:
    return f"sqlite:///{path / 'events.sqlite'}"


@contextmanager
def locked(path: Path, how: str = "IMMEDIATE") -> Iterator[None]:
    """As a database browser, a backup or VACUUM holds it."""
    with closing(sqlite3.connect(path / "events.sqlite", isolation_level=None)) as other:
        other.execute(f"BEGIN {how}")
        yield
        other.execute("ROLLBACK")


def until(true: Callable[[], bool]) -> None:
    end = monotonic() + 60
    while not true():
        assert monotonic() < end
        sleep(0.01)


def ids(path: Path) -> list[str]:
    """In the database itself."""
    with closing(sqlite3.connect(path / "events.sqlite")) as reader:
        return [row[0] for row in reader.execute("SELECT id FROM events ORDER BY position")]


@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_events_wait_on_disk_and_are_stored_in_order_when_the_lock_is_gone(tmp_path: Path, how: str) -> None:
    with closing(SqlEventStore(url(tmp_path))) as store:
        store.write(an_event(0))
        assert store.busy_since is None
        with locked(tmp_path, how):
            for number in (2, 1, 3):
                store.write(an_event(number))
            assert store.waiting == 3
            assert store.busy_since
            (file,) = spool_files(tmp_path / "events.sqlite")
            assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == [
                "event-2",
                "event-1",
                "event-3",
            ]
        until(lambda: not store.waiting)
        store.write(an_event(4))
        assert store.busy_since is None
    assert ids(tmp_path) == ["event-0", "event-2", "event-1", "event-3", "event-4"]
    assert spool_files(tmp_path / "events.sqlite") == []


def test_what_waits_is_read_with_the_rest(tmp_path: Path) -> None:
    with closing(SqlEventStore(url(tmp_path))) as store:
        store.write(an_event(0))
        with locked(tmp_path):
            store.write(an_event(1))
            store.write(an_event(2, None))
            assert [event["id"] for event in query(url(tmp_path))] == ["event-0", "event-1", "event-2"]
            assert [event["id"] for event in query(url(tmp_path), EventFilter("unknown"))] == ["event-2"]


@pytest.mark.parametrize("seed", range(2))
def test_kill_9_while_it_is_locked_loses_nothing_that_was_announced(tmp_path: Path, seed: int) -> None:
    SqlEventStore(url(tmp_path)).close()
    with locked(tmp_path):
        announced = kill_while_writing(url(tmp_path), random.Random(seed).randint(1, 100))
    assert len(announced) > 0
    assert [event["id"] for event in query(url(tmp_path))][: len(announced)] == announced
    assert ids(tmp_path) == []
    SqlEventStore(url(tmp_path)).close()
    assert ids(tmp_path)[: len(announced)] == announced
    assert spool_files(tmp_path / "events.sqlite") == []


def test_what_a_run_leaves_waiting_is_stored_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_store, "_LAST_TRIES", 1)
    store = SqlEventStore(url(tmp_path))
    with locked(tmp_path):
        store.write(an_event(0))
        store.close()
        later = SqlEventStore(url(tmp_path))
        assert later.waiting == 1
        later.write(an_event(1))
    until(lambda: not later.waiting)
    later.close()
    assert ids(tmp_path) == ["event-0", "event-1"]


def test_two_processes_may_wait_beside_each_other(tmp_path: Path) -> None:
    with closing(SqlEventStore(url(tmp_path))) as one, closing(SqlEventStore(url(tmp_path))) as other:
        with locked(tmp_path):
            one.write(an_event(0))
            other.write(an_event(1))
            assert len(spool_files(tmp_path / "events.sqlite")) == 2
        until(lambda: not one.waiting and not other.waiting)
    assert sorted(ids(tmp_path)) == ["event-0", "event-1"]


def test_what_waits_does_not_escape_being_forgotten(tmp_path: Path) -> None:
    """Else it would come back with the lock gone."""
    with closing(SqlEventStore(url(tmp_path))) as store:
        with locked(tmp_path):
            store.write(an_event(0))
            store.write(an_event(1))
            with pytest.raises(StorageError, match="locked"):
                store.rewrite_events(without({"event-0"}))
        store.rewrite_events(without({"event-0"}))
        store.drop(["event-1"])
    assert ids(tmp_path) == []
    SqlEventStore(url(tmp_path)).close()
    assert ids(tmp_path) == []


def test_the_queue_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "CAPACITY_BYTES", 1000)
    with closing(SqlEventStore(url(tmp_path))) as store:
        with locked(tmp_path):
            store.write(an_event(0))
            store.write(an_event(1))
            with pytest.raises(StorageError, match=r"2 lines wait for .* no more may wait"):
                store.write(an_event(2))
        until(lambda: not store.waiting)
    assert ids(tmp_path) == ["event-0", "event-1"]


def test_a_new_store_that_is_locked_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_store, "DURABLE", ("busy_timeout=10",))
    with closing(sqlite3.connect(tmp_path / "events.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match="database is locked; end the program that holds it"):
            SqlEventStore(url(tmp_path))
