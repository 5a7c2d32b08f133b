"""Runs the commands as a user does: as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx

GOLDEN = Path(__file__).parent
WITHIN_S = 120.0
_NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


def unblur(*arguments: str | Path, **environment: str) -> str:
    """What the command prints, which must end with status 0."""
    done = subprocess.run(
        [sys.executable, "-m", "unblur", *map(str, arguments)],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings(template: Path, folder: Path, **values: object) -> Path:
    """A configuration in `folder`, with its words in capitals replaced."""
    text = template.read_text(encoding="utf-8")
    for name, value in {"FOLDER": folder, "FILM": GOLDEN / "film", **values}.items():
        text = text.replace(name, str(value))
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder / "config.yaml"


def without_network(cache: Path) -> dict[str, str]:
    """An environment in which nothing can be fetched."""
    return {"UNBLUR_CACHE": str(cache), **_NO_NETWORK}


def until(holds: Callable[[], bool], why_not: Callable[[], str] = lambda: "it did not become true in time") -> None:
    """Ask again and again until it holds."""
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, why_not()
        time.sleep(0.1)


@contextmanager
def serving(config: Path, output: Path, **environment: str) -> Iterator[str]:
    """The address of `unblur serve` with this configuration; what it prints goes to `output`."""
    command = [sys.executable, "-m", "unblur", "serve", "--config", str(config)]
    with (
        output.open("w") as printed,
        subprocess.Popen(command, stderr=printed, env={**os.environ, **environment}) as process,
    ):
        try:
            until(lambda: "http://127.0.0.1" in output.read_text() or process.poll() is not None)
            assert process.poll() is None, output.read_text()
            yield next(word for word in output.read_text().split() if word.startswith("http://127.0.0.1")).rstrip("/")
        finally:
            process.terminate()


@contextmanager
def signed_in(address: str, name: str, password: str) -> Iterator[httpx.Client]:
    """A client with the session of this account."""
    with httpx.Client(base_url=address, headers={"Accept": "text/html"}, timeout=60) as client:
        assert client.post("/login", data={"name": name, "password": password}).status_code == 303
        client.headers["Accept"] = "application/json"
        yield client
