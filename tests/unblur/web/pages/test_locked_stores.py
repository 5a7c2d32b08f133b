"""A locked database is a problem with a remedy."""

import sqlite3
from contextlib import closing
from pathlib import Path

from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog
from tests.stream.support.events import an_event
from unblur.web.pages.health_problems import locked_stores


def test_a_store_that_another_program_holds_is_a_problem_until_it_lets_go(tmp_path: Path) -> None:
    file = tmp_path / "events.sqlite"
    with closing(SqlEventStore(f"sqlite:///{file}")) as store, closing(JsonlEventLog(tmp_path / "e.jsonl")) as log:
        ledgers: list[tuple[str, JsonlEventLog | SqlEventStore]] = [("store", store), ("log", log)]
        assert list(locked_stores(ledgers)) == []
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            store.write(an_event(0))
            (problem,) = locked_stores(ledgers)
            assert f"the event store sqlite:///{file} locked since" in problem.what
            assert "1 events wait on disk" in problem.what
            assert "end that program" in problem.remedy
            other.execute("ROLLBACK")
        store.rewrite_events(dict)
        assert list(locked_stores(ledgers)) == []
