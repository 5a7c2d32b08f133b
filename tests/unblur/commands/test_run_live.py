"""`unblur run` on a live camera: named people in the log, through its death and return, until it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.stream.support.rtsp import RtspServer, why_not

WITHIN_S = 60.0


@pytest.fixture
def server(demo: Path) -> Iterator[RtspServer]:
    if reason := why_not():
        pytest.skip(reason)
    with RtspServer("viewer", "s3cret", film=demo / "camera.mp4") as running:
        yield running


class LiveRun:
    """A running `unblur run`, and the log that it writes."""

    def __init__(self, address: str, gallery: Path, folder: Path) -> None:
        self._log = folder / "events.jsonl"
        self._output = folder / "output.txt"
        command = [sys.executable, "-m", "unblur", "run", f"lobby={address}", "--gallery", str(gallery)]
        command += ["--events", str(self._log), "--output", str(folder / "film.mp4")]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, env={**os.environ, "COLUMNS": "200"}
            )

    def events(self) -> list[dict[str, object]]:
        if not self._log.exists():
            return []
        whole, _, _ = self._log.read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def until(self, holds: Callable[[list[dict[str, object]]], bool]) -> list[dict[str, object]]:
        """Wait until `holds` is true for the events, and return them."""
        deadline = time.monotonic() + WITHIN_S
        while not holds(events := self.events()):
            assert self._process.poll() is None, self.output()
            assert time.monotonic() < deadline, (events, self.output())
            time.sleep(0.1)  # interval of polling the file
        return events

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(WITHIN_S)

    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")


def began(event: dict[str, object]) -> datetime:
    return datetime.fromisoformat(str(event["wall_time"]))


def open_tracks(events: list[dict[str, object]]) -> set[object]:
    """Tracks without an end event: a camera that stops must leave none."""
    ended = {event["track"] for event in events if event["type"] == "end"}
    return {event["track"] for event in events} - ended


def named(events: list[dict[str, object]]) -> bool:
    return any(event["name"] == "Barack_Obama" for event in events)


def test_a_camera_that_dies_and_returns_is_watched_again(server: RtspServer, demo: Path, tmp_path: Path) -> None:
    live_run = LiveRun(server.address("film", "viewer:s3cret@"), demo / "people.joblib", tmp_path)
    before = live_run.until(named)
    assert all(event["camera"] == "lobby" and event["wall_time"] for event in before)
    server.kill()
    live_run.until(lambda events: not open_tracks(events))
    returned = datetime.now(UTC)
    server.start()
    live_run.until(lambda events: named([event for event in events if began(event) > returned]))
    assert live_run.stop() == 143
    final = live_run.events()
    assert not open_tracks(final)
    kinds = {
        track: [event["type"] for event in final if event["track"] == track] for track in {e["track"] for e in final}
    }
    assert all(kind[0] == "new" and kind[-1] == "end" for kind in kinds.values()), kinds
    assert len({event["id"] for event in final}) == len(final)
    assert (tmp_path / "film.mp4").stat().st_size > 0
    assert "s3cret" not in live_run.output() + json.dumps(final)
