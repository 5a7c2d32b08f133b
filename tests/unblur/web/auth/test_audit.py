"""Who did what, in its database and on its page."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sql

from tests.unblur.web.auth.test_throttle import Clock
from tests.unblur.web.support.serving import OPERATOR, VIEWER, House
from unblur.app_database import application_database
from unblur.web.auth import audit as limits
from unblur.web.auth.audit import Audit, AuditQuery


@pytest.fixture
def engine(tmp_path: Path) -> sql.Engine:
    return application_database(tmp_path)


def test_the_newest_come_first_and_page_by_page(engine: sql.Engine) -> None:
    audit = Audit(engine)
    for number in range(5):
        audit.note("ann", "did", f"thing {number}")
    first = audit.entries(AuditQuery(limit=3))
    assert [entry.about for entry in first.entries] == ["thing 4", "thing 3", "thing 2"]
    assert first.more
    rest = audit.entries(AuditQuery(before=first.more, limit=3))
    assert [entry.about for entry in rest.entries] == ["thing 1", "thing 0"]
    assert rest.more is None
    assert rest.dropped == 0


def test_only_so_many_are_kept_and_the_rest_is_counted(engine: sql.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST", 4)
    audit = Audit(engine)
    for number in range(10):
        audit.note("ann", "did", f"thing {number}")
    kept = audit.entries(AuditQuery())
    assert [entry.about for entry in kept.entries] == [f"thing {number}" for number in (9, 8, 7, 6)]
    assert kept.dropped == 6


def test_they_are_kept_for_so_long(engine: sql.Engine) -> None:
    clock = Clock()
    audit = Audit(engine, clock)
    audit.note("ann", "did", "long ago")
    clock.now_s += limits.LONGEST_S + 1
    audit.note("ann", "did", "today")
    kept = audit.entries(AuditQuery())
    assert [entry.about for entry in kept.entries] == ["today"]
    assert kept.dropped == 1


def test_anything_can_be_written_down(engine: sql.Engine) -> None:
    audit = Audit(engine)
    audit.note("\ud800" * 100, "<script>", "x" * 5000)
    (entry,) = audit.entries(AuditQuery()).entries
    assert (entry.what, len(entry.about)) == ("<script>", 300)


def test_the_page_and_the_interface_are_for_operators(house: House) -> None:
    house.reception.audit.note("ann", "did", "<b>bold</b> \u202e")
    operator, viewer = house.visitor(OPERATOR), house.visitor(VIEWER)
    page = operator.get("/audit")
    assert "&lt;b&gt;bold&lt;/b&gt;" in page.text
    assert operator.get("/audit?before=1").text.count("<tr>") == 0
    assert operator.get("/audit?before=nonsense").status_code == 400
    listed = operator.get("/api/v1/audit?limit=2").json()["entries"]
    assert [(entry["who"], entry["what"]) for entry in listed] == [(VIEWER, "signed in"), (OPERATOR, "signed in")]
    assert operator.get("/api/v1/audit?before=99999999999999999999").status_code == 400
    assert viewer.get("/audit").status_code == 403
    assert viewer.get("/api/v1/audit").status_code == 403
