"""The application keeps its records within their limits by itself."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

from configs.schema import Limit, Retention
from stream.history import query
from tests.unblur.kept import keep, records
from unblur.housekeeping import Housekeeping


def test_what_is_too_old_goes_when_it_begins(tmp_path: Path) -> None:
    """All that was kept is of a day long past."""
    keep(tmp_path)
    with ExitStack() as stack, closing(Housekeeping(Retention(events=Limit(days=1)), records(tmp_path, stack))):
        pass
    assert list(query(str(tmp_path / "log.jsonl"))) == []
    assert list(query(f"sqlite:///{tmp_path / 'log.sqlite'}")) == []
    assert list((tmp_path / "evidence").glob("*.png")) == []


def test_without_limits_all_stays(tmp_path: Path) -> None:
    keep(tmp_path)
    with ExitStack() as stack, closing(Housekeeping(Retention(), records(tmp_path, stack))):
        pass
    assert len(list(query(str(tmp_path / "log.jsonl")))) == 7
