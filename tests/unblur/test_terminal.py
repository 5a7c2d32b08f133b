"""Every command with a progress bar or a prompt, in real terminals: of several kinds and widths, and resized."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from tests.models.conftest import Index, empty_cache, index, wheel  # noqa: F401  fixtures
from tests.stream.support.media import write_film
from tests.unblur.support.kept import ERASED, write_data_folder, write_personal_data
from tests.unblur.support.pseudo_terminal import UNBLUR, PseudoTerminal
from unblur.terminal import printable

PASSWORD = "correct horse battery"
TERMINALS = [
    pytest.param("xterm-256color", 40),
    pytest.param("xterm-256color", 200, marks=pytest.mark.slow),
    pytest.param("vt100", 80, marks=pytest.mark.slow),
    pytest.param("dumb", 80),
    pytest.param(None, 80, marks=pytest.mark.slow),
]
"""The value of TERM, if it is set, and the number of columns."""
ODD = "a\x1b[2Jb"
"""A name that would clear the screen."""


@pytest.fixture
def pictures(tmp_path: Path, portraits: Path) -> Path:
    """A recording of three seconds with a person, as a folder of pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    first = folder / "00.jpg"
    Pillow.open(portraits / "obama2.jpg").convert("RGB").resize((320, 400)).save(first)
    for number in range(1, 30):
        os.link(first, folder / f"{number:02}.jpg")
    return folder


def require_clean_end(terminal: PseudoTerminal, status: int = 0) -> None:
    """Check the exit status, the restored terminal, and that no traceback was printed."""
    assert terminal.finish() == status, terminal.text
    assert "Traceback" not in terminal.text
    assert terminal.is_restored, terminal.text


@pytest.mark.parametrize(("term", "columns"), TERMINALS)
def test_a_recording_is_watched(term: str | None, columns: int, pictures: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    command = [*UNBLUR, "run", f"door={pictures}", "--pace", "realtime", "--fps", "5", "--events", log]
    with PseudoTerminal(command, columns, term) as terminal:
        draws = term in {"xterm-256color", "vt100"}
        if draws:
            terminal.until(lambda: " fps, " in terminal.text)
            assert len([line for line in terminal.lines if line.startswith("door")]) == 1
            terminal.resize(240 - columns)
            size = len(terminal.raw)
            terminal.until(lambda: len(terminal.raw) > size + 500)
            assert len([line for line in terminal.lines if line.startswith("door")]) == 1, terminal.lines
        require_clean_end(terminal)
        assert draws or b"\x1b" not in terminal.raw
        summary = [line for line in terminal.lines if re.match("door .*unknown", line)]
        assert len(summary) == 1, terminal.lines
        assert "30 frames" in "".join(terminal.lines)
    assert log.stat().st_size > 0


@pytest.mark.parametrize("term", ["xterm-256color", pytest.param("dumb", marks=pytest.mark.slow)])
def test_a_live_camera_is_stopped_by_ctrl_c(term: str, tmp_path: Path) -> None:
    film = write_film(tmp_path / "camera.mp4")
    with PseudoTerminal([*UNBLUR, "run", f"loop:{film}"], 40, term) as terminal:
        terminal.until(lambda: b"connected" in terminal.raw if term == "dumb" else " fps, " in terminal.text)
        terminal.interrupt()
        require_clean_end(terminal, 130)
        assert "interrupted" in terminal.text
        assert "Nobody was seen" in terminal.text


def test_the_log_is_printed_above_the_bar(tmp_path: Path) -> None:
    film = write_film(tmp_path / "camera.mp4")
    with PseudoTerminal([*UNBLUR, "run", f"loop:{film}"], 200) as terminal:
        terminal.until(lambda: "connected to the camera" in terminal.text and " fps, " in terminal.lines[-1])
        drawn = [line for line in terminal.lines if " fps, " in line]
        output = [line for line in terminal.lines if "connected to the camera" in line]
        assert (len(drawn), len(output)) == (1, 1), terminal.lines
        terminal.interrupt()
        require_clean_end(terminal, 130)


def test_people_are_enrolled_and_photos_restored(portraits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces" / "Ann"
    folder.mkdir(parents=True)
    shutil.copy(portraits / "obama.jpg", folder / f"{ODD}.jpg")
    gallery = tmp_path / "people.joblib"
    with PseudoTerminal([*UNBLUR, "enroll", tmp_path / "faces", "--gallery", gallery], 40) as terminal:
        require_clean_end(terminal)
        assert "1 people known" in terminal.text
    photo = tmp_path / f"{ODD}.jpg"
    shutil.copy(portraits / "obama2.jpg", photo)
    command = [*UNBLUR, "image", photo, "--out", tmp_path / "out", "--gallery", gallery]
    with PseudoTerminal(command, 120) as terminal:
        require_clean_end(terminal)
        assert b"\x1b[2Jb" not in terminal.raw
        heading, face = terminal.lines
        assert heading.split() == ["photo", "who", "score", "threshold", "raw", "restored", "by"]
        assert face.split()[:2] == [printable(photo.name), "Ann"]


def test_results_stay_in_their_pipe_while_a_bar_is_drawn(portraits: Path, tmp_path: Path) -> None:
    with (tmp_path / "faces.jsonl").open("wb") as file:
        command = [*UNBLUR, "image", portraits / "obama2.jpg", "--out", tmp_path / "out"]
        with PseudoTerminal(command, stdout=file.fileno()) as terminal:
            require_clean_end(terminal)
            assert "score" not in terminal.text
    (line,) = (tmp_path / "faces.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["name"] is None


FETCH = """
import time
from models.assets.fetch import fetch
from unblur.terminal import download_bar, messages, show_activity
with show_activity("filming"):
    with download_bar() as progress:
        fetch("yunet", progress=progress)
        time.sleep(0.3)
"""


@pytest.mark.parametrize(("term", "columns"), [("xterm-256color", 40), ("dumb", 80)])
def test_a_download_is_drawn_within_other_work(term: str, columns: int, index: Index) -> None:  # noqa: F811
    with PseudoTerminal([sys.executable, "-c", FETCH], columns, term, PIP_INDEX_URL=index.url()) as terminal:
        require_clean_end(terminal)
        assert ("MB" in terminal.text) == (term != "dumb"), terminal.text
        assert term != "dumb" or b"\x1b" not in terminal.raw
        assert term == "dumb" or terminal.lines == []


def fit(_: Path, portraits: Path, tmp_path: Path) -> list[object]:
    for name, photo in (("Ann", "obama.jpg"), ("Bob", "biden.jpg"), ("Cid", "astronaut.png")):
        (tmp_path / "faces" / name).mkdir(parents=True)
        picture = Pillow.open(portraits / photo).convert("RGB")
        picture.save(tmp_path / "faces" / name / "as it is.png")
        ImageOps.mirror(picture).save(tmp_path / "faces" / name / "mirrored.png")
    return ["fit", tmp_path / "faces", "--embedder", "pca", "--out", tmp_path / "fitted"]


COMMANDS: dict[str, Callable[[Path, Path, Path], list[object]]] = {
    "doctor": lambda *_: ["doctor"],
    "calibrate": lambda kept, *_: ["calibrate", kept / "people.joblib"],
    "events list": lambda kept, *_: ["events", "list", kept / "log.jsonl"],
    "events export": lambda kept, *_: ["events", "export", kept / "log.jsonl"],
    "events verify": lambda kept, *_: ["events", "verify", kept / "evidence"],
    "forget": lambda kept, *_: ["forget", ERASED, "--log", kept / "log.jsonl", "--gallery", kept / "people.joblib"],
    "fit": fit,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_other_commands_output_is_readable(command: str, portraits: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    write_personal_data(kept)
    with PseudoTerminal([*UNBLUR, *COMMANDS[command](kept, portraits, tmp_path)], 40) as terminal:
        require_clean_end(terminal)
        assert terminal.lines


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("term", "columns"), [("xterm-256color", 40), ("xterm-256color", 200), ("dumb", 80)])
def test_the_demo_is_shown(term: str, columns: int, tmp_path: Path) -> None:
    with PseudoTerminal([*UNBLUR, "demo", "--out", tmp_path / "demo"], columns, term) as terminal:
        if term != "dumb":
            terminal.until(lambda: " fps, " in terminal.text)
            terminal.resize(240 - columns)
        require_clean_end(terminal)
        assert "Wrong names: 0" in terminal.text
        assert "report.html" in "".join(terminal.lines)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_evaluation_is_drawn(shared: Path, tmp_path: Path) -> None:
    command = [*UNBLUR, "evaluate", "restore", "--data", shared, "--out", tmp_path / "out", "--every", "100"]
    with PseudoTerminal([*command, "--condition", "none"], 40) as terminal:
        require_clean_end(terminal)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_benchmark_is_drawn_and_stopped_by_ctrl_c(shared: Path) -> None:
    with PseudoTerminal([*UNBLUR, "bench", "--data", shared], 40) as terminal:
        for program in ("filming people", "plain loop, OpenCV's classes"):
            terminal.until(lambda program=program: program in terminal.text)  # type: ignore[misc]
        terminal.interrupt()
        require_clean_end(terminal, 130)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_networks_are_exported(tmp_path: Path) -> None:
    with PseudoTerminal([*UNBLUR, "export", "--out", tmp_path / "out"], 40) as terminal:
        require_clean_end(terminal)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_training_is_drawn_and_stopped_by_ctrl_c(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra `train`")
    pytest.importorskip("tensorboard", reason="needs the extra `train`")
    command = [*UNBLUR, "train", "--data", shared, "--out", tmp_path / "out", "--set", "crops=100000"]
    with PseudoTerminal(command, 40) as terminal:
        terminal.until(lambda: "training" in terminal.text and "/100000" in terminal.text)
        terminal.interrupt()
        require_clean_end(terminal, 130)


@pytest.mark.parametrize("keys", ["\x03", "\x04"])
def test_an_interrupted_prompt_restores_the_terminal(keys: str, tmp_path: Path) -> None:
    write_data_folder(tmp_path)
    command = [*UNBLUR, "users", "add", "ann", "--data", tmp_path]
    with PseudoTerminal(command, 40) as terminal:
        terminal.until(lambda: "Password: " in terminal.text)
        terminal.press(keys)
        require_clean_end(terminal, 130 if keys == "\x03" else 1)
    with PseudoTerminal(command, 40) as terminal:
        for prompt in ("Password: ", "Repeat password: "):
            terminal.until(lambda prompt=prompt: prompt in terminal.text)  # type: ignore[misc]
            terminal.press(f"{PASSWORD}\n")
        require_clean_end(terminal)
        assert PASSWORD not in terminal.text


def test_a_server_is_stopped_by_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "unblur.yaml").write_text("cameras: []", encoding="utf-8")
    command = [*UNBLUR, "serve", "--config", tmp_path / "unblur.yaml", "--port", "0", "--data", tmp_path / "data"]
    with PseudoTerminal(command, 40) as terminal:
        terminal.until(lambda: "http://" in terminal.text)
        terminal.interrupt()
        require_clean_end(terminal)
        assert "unblur: stopped" in terminal.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such shell")
@pytest.mark.parametrize("closed", [">&-", pytest.param("2>&-", marks=pytest.mark.slow), "<&- >&- 2>&-"])
def test_a_standard_stream_may_be_closed(closed: str, pictures: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    command = [*UNBLUR, "run", f"door={pictures}", "--events", log]
    script = f'exec "$@" {closed}'
    output = subprocess.run(["sh", "-c", script, "sh", *map(str, command)], capture_output=True, text=True, check=False)
    assert output.returncode == 0, output.stderr
    assert [json.loads(line)["type"] for line in log.read_text("utf-8").splitlines()][-1] == "end"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë", "Zoë"),
        ("Zoe\u0308", "Zoe\u0308"),
        ("👩‍🚀", "👩‍🚀"),
        (ODD, r"a\x1b[2Jb"),
        ("\x9b2J", r"\x9b2J"),
        ("a\nb\rc", r"a\nb\rc"),
        ("\udcff", r"\udcff"),
        ("Ann \u202egnp.exe", r"Ann \u202egnp.exe"),
    ],
)
def test_text_is_escaped_for_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
