"""Real networks, real portraits and, where this checkout has it, the shared data."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog

from models.assets.fetch import fetch, fetch_portraits
from tests.ending import closing_what_is_opened
from tests.models.support import networks

REPOSITORY = Path(__file__).parents[1]
MAY_SKIP = re.compile(r"extra `|shared data|torch|openvino|TensorRT|GPU|CUDA|root may|certificate bundle|file system")
"""Why a test may skip even in CI (the variable CI is set): .ci/run has environments of their own for the extras."""
_POOLED = re.compile(r".+_\d+|.+ \(process_request_thread\)")  # as ThreadPoolExecutor and ThreadingHTTPServer name them
_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that end a program."""
ENDS_WITHIN_S = 10.0
"""Seconds that a thread may take to end, on a busy machine."""


def pytest_configure() -> None:
    """However pytest was started, the programs that tests start can be interrupted: `nohup`, and a shell that starts
    something in the background, have signals ignored, which programs inherit; a handler they do not."""
    for number in _ENDING:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """A test that runs a command in this process, or a fixture that does, leaves signals as they were: the command
    ignores SIGHUP where there is no terminal, and what later tests start would inherit that."""
    before = {number: signal.getsignal(number) for number in _ENDING}
    result = yield
    for number, handler in before.items():
        signal.signal(number, handler)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing skips because a program is missing: `.ci/debian-packages` must name it."""
    report = yield
    if report.skipped and os.environ.get("CI") and isinstance(report.longrepr, tuple):  # no tuple: expected to fail
        reason = report.longrepr[2]
        if not MAY_SKIP.search(reason):
            report.outcome, report.longrepr = "failed", f"skipped in CI, where nothing may be missing: {reason}"
    return report


@pytest.fixture(autouse=True)
def _every_thread_ends() -> Iterator[None]:
    """What a test starts is over when it is over: a thread that is left would write into the tests after it."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + ENDS_WITHIN_S
    while left := [each for each in threading.enumerate() if each not in before and _is_ours(each)]:
        if time.monotonic() > deadline:
            pytest.fail(f"left running: {', '.join(str(each) for each in left)}")
        left[0].join(0.05)


@pytest.fixture(autouse=True)
def _what_is_opened_is_closed(_every_thread_ends: None) -> Iterator[None]:
    with closing_what_is_opened():
        yield


def _is_ours(thread: threading.Thread) -> bool:
    """Not the worker of a pool, which lasts as long as the process and does nothing between two tasks; nor a server's
    answer, which ends with a client or server that may belong to several tests."""
    return not _POOLED.fullmatch(thread.name)


@pytest.fixture(autouse=True)
def _no_log_of_the_test_before() -> Iterator[None]:
    """A command sends its log to its own standard error, which is closed when its test is over."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True, scope="session")
def _a_key_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test signs with, or makes, the key of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def yunet_path() -> Path:
    """The prepared YuNet."""
    return fetch("yunet")


@pytest.fixture(scope="session")
def sface_path() -> Path:
    """The prepared SFace."""
    return fetch("sface")


@pytest.fixture(scope="session")
def deblurring_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with the deblurring network's contract."""
    path = tmp_path_factory.mktemp("networks") / "deblurring.onnx"
    path.write_bytes(networks.deblurring())
    return path


@pytest.fixture(scope="session")
def portraits() -> Path:
    """A folder with public-domain portraits: obama.jpg, obama2.jpg, obama3.jpg, biden.jpg, astronaut.png."""
    return fetch_portraits()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The research data next to a checkout of the project; tests that need it skip without it."""
    data = Path(os.environ.get("UNBLUR_SHARED", REPOSITORY.parent / "shared" / "data"))
    if not data.is_dir():
        pytest.skip(f"needs the shared data at {data} (or UNBLUR_SHARED)")
    return data
