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
