"""What commands load: the modules, not the seconds, which depend on the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from unblur.cli import SUMMARIES, app

HEAVY = {
    "aiohttp",
    "aiortc",
    "av",
    "cv2",
    "numpy",
    "onnxruntime",
    "pydantic",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "structlog",
}
WEB = {"aiohttp", "aiortc", "jinja2"}


def loaded(*arguments: str) -> set[str]:
    """The top-level modules that the process of a command has loaded at its end."""
    code = (
        "import sys; from unblur.cli import main; main(sys.argv[1:]);"
        " print('loaded', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_no_command(option: str) -> None:
    assert loaded(option) & HEAVY == set()


def test_a_run_without_a_gallery_loads_neither_scikit_learn_nor_the_web_application(tmp_path: Path) -> None:
    picture = tmp_path / "wall.png"
    cv2.imwrite(str(picture), np.full((120, 160, 3), 128, np.uint8))
    assert loaded("run", str(picture), "--quiet") & (WEB | {"sklearn", "torch", "matplotlib"}) == set()


def test_each_command_has_a_short_summary_the_same_as_its_help() -> None:
    import typer.main

    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert (command.help or "").splitlines()[0].partition(". Passwords")[0].rstrip(".") == SUMMARIES[name].rstrip(
            "."
        )
        assert len(SUMMARIES[name]) <= 60


def test_events_are_listed_without_networks_or_video() -> None:
    log = Path(__file__).parents[1] / "golden" / "film" / "events.jsonl"
    assert loaded("events", "list", str(log)) & (WEB | {"av", "cv2", "onnxruntime", "scipy", "sklearn"}) == set()
