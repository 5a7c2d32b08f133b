"""Another program holds the application's database locked: 503 with a sentence, and nothing done goes unnoted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from stream.storage.database import DURABLE
from stream.storage.spool import spool_files
from tests.unblur.web.support.serving import OPERATOR, House
from unblur import app_database
from unblur.app_database import application_database
from unblur.web.auth.audit import Audit, AuditQuery


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    pragmas = [*DURABLE, "busy_timeout=20"]
    monkeypatch.setattr(app_database, "DURABLE", pragmas)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.usefixtures("impatient")
def test_signing_in_while_the_database_is_locked_gets_503_and_a_sentence(house: House) -> None:
    visitor = house.visitor()
    with locked(Path(str(house.engine.url.database))):
        refused = visitor.sign_in(OPERATOR)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert "another program is using the database" in refused.text
    assert "sqlite" not in refused.text.lower()
    assert visitor.sign_in(OPERATOR).status_code == 303


@pytest.mark.usefixtures("impatient")
def test_programs_get_it_as_json(house: House) -> None:
    visitor = house.visitor()
    with locked(Path(str(house.engine.url.database))):
        refused = visitor.sign_in(OPERATOR, headers={"Accept": "application/json"})
    assert refused.status_code == 503
    assert "try again" in refused.text


@pytest.mark.usefixtures("impatient")
def test_what_was_done_meanwhile_is_noted_later_in_order(tmp_path: Path) -> None:
    engine = application_database(tmp_path)
    with closing(engine.raw_connection()):
        audit = Audit(engine)
    database = Path(str(engine.url.database))
    audit.note("ann", "enrolled", "first")
    with locked(database):
        audit.note("ann", "enrolled", "second")
        assert len(spool_files(database)) == 1
        assert [entry.about for entry in audit.entries(AuditQuery()).entries] == ["first"]
    audit.note("ann", "enrolled", "third")
    assert [entry.about for entry in audit.entries(AuditQuery()).entries] == ["third", "second", "first"]
    assert spool_files(database) == []
    with locked(database):
        audit.note("ann", "enrolled", "fourth")
    assert audit.entries(AuditQuery()).entries[0].about == "fourth"
    engine.dispose()
