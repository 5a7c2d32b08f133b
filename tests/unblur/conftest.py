"""The demo, run once: a real clip, a real gallery and everything that a run leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from unblur.cli import main


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished `unblur demo`."""
    out = tmp_path_factory.mktemp("demo")
    assert main(["demo", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def gallery(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of Barack Obama alone."""
    folder = tmp_path_factory.mktemp("people")
    person = folder / "faces" / "Barack Obama"
    person.mkdir(parents=True)
    (person / "obama.jpg").write_bytes((portraits / "obama.jpg").read_bytes())
    (person / "about.txt").write_text("44th President of the United States", encoding="utf-8")
    assert main(["enroll", str(folder / "faces"), "--gallery", str(folder / "people.joblib")]) == 0
    return folder / "people.joblib"
