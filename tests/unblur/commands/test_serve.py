"""`unblur serve` keeps running: without a camera, and with a missing one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

_WITHIN_S = 100.0


def until(holds: Callable[[], bool]) -> None:
    """Wait until `holds` is true; a server starts slowly on a busy machine."""
    deadline = time.monotonic() + _WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def serving(folder: Path, cameras: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command with these cameras; its address and its process."""
    (folder / "unblur.yaml").write_text(f"cameras: {cameras}", encoding="utf-8")
    command = [sys.executable, "-m", "unblur", "serve", "--config", str(folder / "unblur.yaml"), "--port", "0"]
    with (
        (folder / "output.txt").open("w") as output,
        subprocess.Popen([*command, "--data", str(folder / "data")], stderr=output, text=True) as process,
    ):
        try:
            until(lambda: "http://" in (folder / "output.txt").read_text() or process.poll() is not None)
            output_words = (folder / "output.txt").read_text().split()
            yield next(word for word in output_words if word.startswith("http://")).rstrip("/"), process
        finally:
            process.terminate()


def test_serve_runs_without_a_camera(tmp_path: Path) -> None:
    with serving(tmp_path, "[]") as (address, _):
        assert httpx.get(f"{address}/api/v1/cameras").json() == {"cameras": []}
        assert "unblur serve --demo" in httpx.get(f"{address}/", headers={"Accept": "text/html"}).text
        assert httpx.get(f"{address}/readyz").json() == {"ready": True}
        assert httpx.get(f"{address}/api/v1/health").json()["why"] is None
    assert not (tmp_path / "data" / "demo").exists()
    assert not (tmp_path / "data" / "people.joblib").exists()


@pytest.mark.parametrize("source", ["rtsp://127.0.0.1:9/1", "/dev/video77"])
def test_serve_waits_for_a_missing_camera(source: str, tmp_path: Path) -> None:
    with serving(tmp_path, f"[{{name: door, source: '{source}'}}]") as (address, process):
        until(lambda: "no connection to the camera" in (tmp_path / "output.txt").read_text())
        (camera,) = httpx.get(f"{address}/api/v1/cameras").json()["cameras"]
        assert camera["state"] in {"connecting", "reconnecting"}
        assert process.poll() is None
