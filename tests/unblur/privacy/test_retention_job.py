"""The application applies the retention limits in the background."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path

import pytest

from configs.schema import Limit, Retention
from stream.events.query import query
from tests.unblur.support.kept import open_data, write_personal_data
from unblur.privacy import retention_job
from unblur.privacy.personal_data import PersonalData
from unblur.privacy.retention import RetentionReport, apply_retention
from unblur.privacy.retention_job import RetentionJob


def test_old_data_is_deleted_at_the_start(tmp_path: Path) -> None:
    """All test data is older than the limit."""
    write_personal_data(tmp_path)
    with ExitStack() as stack, closing(RetentionJob(Retention(events=Limit(days=1)), open_data(tmp_path, stack))):
        pass
    assert list(query(str(tmp_path / "log.jsonl"))) == []
    assert list(query(f"sqlite:///{tmp_path / 'log.sqlite'}")) == []
    assert list((tmp_path / "evidence").glob("*.png")) == []


def test_a_failed_pass_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after an OSError."""
    write_personal_data(tmp_path)
    first, second = threading.Event(), threading.Event()

    def fails_once(limits: Retention, data: PersonalData, now: datetime, serving: bool) -> RetentionReport:
        if not first.is_set():
            first.set()
            raise FileNotFoundError(tmp_path)
        second.set()
        return apply_retention(limits, data, now, serving)

    monkeypatch.setattr(retention_job, "_EVERY_S", 0.01)
    monkeypatch.setattr(retention_job, "apply_retention", fails_once)
    with ExitStack() as stack, closing(RetentionJob(Retention(events=Limit(days=1)), open_data(tmp_path, stack))):
        assert second.wait(20)
    assert list(query(str(tmp_path / "log.jsonl"))) == []


def test_without_limits_everything_is_kept(tmp_path: Path) -> None:
    write_personal_data(tmp_path)
    with ExitStack() as stack, closing(RetentionJob(Retention(), open_data(tmp_path, stack))):
        pass
    assert len(list(query(str(tmp_path / "log.jsonl")))) == 7
