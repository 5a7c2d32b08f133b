"""The demo, run once: a real clip, a real gallery and everything that a run leaves behind; and people to be known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.schema import Config
from recognize.gallery import Gallery
from unblur.assemble import Parts
from unblur.cli import main
from unblur.examination import Examiner
from unblur.people import People


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished `unblur demo`."""
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def examiner() -> Examiner:
    return Examiner(Config(), Parts(Config()))


class Notes(list[tuple[str, str, str]]):
    """What was noted of who did what."""

    def take(self, who: str, what: str, about: str) -> None:
        self.append((who, what, about))


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def used() -> list[Gallery]:
    """The galleries that were handed to the recogniser."""
    return []


@pytest.fixture
def people(tmp_path: Path, examiner: Examiner, used: list[Gallery], notes: Notes) -> Iterator[People]:
    """Nobody yet."""
    known = People(tmp_path / "people.joblib", tmp_path / "faces", examiner, used.append, notes.take)
    yield known
    known.close()
