"""Fixtures: the demo, run once, with its clip, gallery and outputs; and a gallery service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.schema import Config
from recognize.gallery.people_gallery import Gallery
from unblur.assembly.components import Components
from unblur.cli import main
from unblur.people.gallery_service import GalleryService
from unblur.people.photo_review import PhotoReviewer


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished `unblur demo`."""
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def gallery(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery with Barack Obama only."""
    folder = tmp_path_factory.mktemp("people")
    person = folder / "faces" / "Barack Obama"
    person.mkdir(parents=True)
    (person / "obama.jpg").write_bytes((portraits / "obama.jpg").read_bytes())
    (person / "about.txt").write_text("44th President of the United States", encoding="utf-8")
    assert main(["enroll", str(folder / "faces"), "--gallery", str(folder / "people.joblib")]) == 0
    return folder / "people.joblib"


@pytest.fixture(scope="session")
def examiner() -> PhotoReviewer:
    return PhotoReviewer(Config(), Components(Config()))


class Notes(list[tuple[str, str, str]]):
    """The audit entries: user, action, person."""

    def note(self, who: str, what: str, about: str) -> None:
        self.append((who, what, about))


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def used() -> list[Gallery]:
    """The galleries that were passed to the recognizer."""
    return []


@pytest.fixture
def people(tmp_path: Path, examiner: PhotoReviewer, used: list[Gallery], notes: Notes) -> Iterator[GalleryService]:
    """A gallery service without people."""
    known = GalleryService(tmp_path / "people.joblib", examiner, used.append, notes.note)
    yield known
    known.close()
