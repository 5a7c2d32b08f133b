"""The application keeps its records within their limits by itself."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path

import pytest

from configs.schema import Limit, Retention
from stream.events.query import query
from tests.unblur.support.kept import keep, records
from unblur.privacy import retention_job
from unblur.privacy.personal_data import PersonalData
from unblur.privacy.retention import RetentionReport, apply_retention
from unblur.privacy.retention_job import RetentionJob


def test_what_is_too_old_goes_when_it_begins(tmp_path: Path) -> None:
    """All that was kept is of a day long past."""
    keep(tmp_path)
    with ExitStack() as stack, closing(RetentionJob(Retention(events=Limit(days=1)), records(tmp_path, stack))):
        pass
    assert list(query(str(tmp_path / "log.jsonl"))) == []
    assert list(query(f"sqlite:///{tmp_path / 'log.sqlite'}")) == []
    assert list((tmp_path / "evidence").glob("*.png")) == []


def test_what_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after an error of the system's own."""
    keep(tmp_path)
    first, second = threading.Event(), threading.Event()

    def fails_once(limits: Retention, kept: PersonalData, now: datetime, serving: bool) -> RetentionReport:
        if not first.is_set():
            first.set()
            raise FileNotFoundError(tmp_path)
        second.set()
        return apply_retention(limits, kept, now, serving)

    monkeypatch.setattr(retention_job, "_EVERY_S", 0.01)
    monkeypatch.setattr(retention_job, "apply_retention", fails_once)
    with ExitStack() as stack, closing(RetentionJob(Retention(events=Limit(days=1)), records(tmp_path, stack))):
        assert second.wait(20)
    assert list(query(str(tmp_path / "log.jsonl"))) == []


def test_without_limits_all_stays(tmp_path: Path) -> None:
    keep(tmp_path)
    with ExitStack() as stack, closing(RetentionJob(Retention(), records(tmp_path, stack))):
        pass
    assert len(list(query(str(tmp_path / "log.jsonl")))) == 7
