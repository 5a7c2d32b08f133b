"""Real networks, real portraits and, where this checkout has it, the shared data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from models.fetch import fetch, fetch_portraits
from tests.models import networks

REPOSITORY = Path(__file__).parents[1]


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
    """The research data that lies beside a checkout of the project; what needs it skips where it is absent."""
    data = Path(os.environ.get("UNBLUR_SHARED", REPOSITORY.parent / "shared" / "data"))
    if not data.is_dir():
        pytest.skip(f"needs the shared data at {data} (or UNBLUR_SHARED)")
    return data
