"""SIGHUP and rotated logs: a service continues, a run whose terminal is closed ends in order."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.outputs.mp4_recorder import Mp4Recorder
from stream.storage.images import read_picture
from stream.values import Frame

WITHIN_S = 90.0
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")


def events(log: Path) -> list[dict[str, object]]:
    whole, _, _ = log.read_text("utf-8").rpartition("\n") if log.exists() else ("", "", "")
    return [json.loads(line) for line in whole.splitlines()]


def until(true: Callable[[], object], run: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)  # interval of polling the file


@pytest.fixture(scope="module")
def film(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person visible for 2 s, then absent for 3 s: played in a loop, each time a new track."""
    picture = np.asarray(cv2.resize(read_picture(portraits / "astronaut.png"), (320, 320)), np.uint8)
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    recorder = Mp4Recorder(path)
    for index in range(50):
        image = picture if index < 20 else np.zeros((320, 320, 3), np.uint8)
        recorder.show(Frame("lobby", index, index * 100, Fraction(1, 1000), None, image), image)
    recorder.close()
    return path


def command(film: Path, log: Path) -> list[str]:
    return [sys.executable, "-m", "unblur", "run", f"lobby=loop:{film}", "--events", str(log), "--quiet"]


@contextmanager
def running(arguments: list[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    run = subprocess.Popen(arguments, **options)  # type: ignore[call-overload]
    try:
        yield run
    finally:
        run.kill()
        run.wait(WITHIN_S)


@pytest.mark.slow
def test_logrotate_finds_the_events_in_the_new_file_and_hangup_ends_no_service(film: Path, tmp_path: Path) -> None:
    log, rotated = tmp_path / "e.jsonl", tmp_path / "e.jsonl.1"
    nothing = subprocess.DEVNULL
    with running(command(film, log), start_new_session=True, stdin=nothing, stdout=nothing, stderr=nothing) as run:
        until(lambda: events(log), run)
        log.rename(rotated)
        log.touch()
        run.send_signal(signal.SIGHUP)
        until(lambda: events(log), run)
        run.send_signal(signal.SIGHUP)
        until(lambda: len(events(log)) > 2, run)
        run.send_signal(signal.SIGTERM)
        assert run.wait(WITHIN_S) == 143
    assert all(event["id"] for event in (*events(rotated), *events(log)))
    ended = {event["track"] for event in (*events(rotated), *events(log)) if event["type"] == "end"}
    assert ended == {event["track"] for event in (*events(rotated), *events(log))}


@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_the_run_with_its_ends(film: Path, tmp_path: Path) -> None:
    log = tmp_path / "e.jsonl"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, command(film, log))
    ended = 0, 0
    try:
        deadline = time.monotonic() + WITHIN_S
        while not events(log):
            assert time.monotonic() < deadline
            os.set_blocking(terminal, False)
            try:
                os.read(terminal, 1 << 16)  # what is not read would hold it up
            except BlockingIOError:
                time.sleep(0.1)
        os.close(terminal)
        while not ended[0]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            ended = os.waitpid(pid, os.WNOHANG)
    finally:
        if not ended[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(ended[1]) == 129
    over = {event["track"] for event in events(log) if event["type"] == "end"}
    assert over == {event["track"] for event in events(log)}
