"""Houses with accounts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.guest import Guest
from tests.unblur.web.serving import OPERATOR, PASSWORD, QUICK, VIEWER, House
from unblur.folder import application_database
from unblur.web.accounts import Accounts


@pytest.fixture(scope="session")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data with an operator and a viewer."""
    folder = tmp_path_factory.mktemp("staffed")
    engine = application_database(folder)
    accounts = Accounts(engine, QUICK)
    accounts.add(OPERATOR, PASSWORD, "operator")
    accounts.add(VIEWER, PASSWORD, "viewer")
    engine.dispose()
    return folder


@pytest.fixture
def house(request: pytest.FixtureRequest, staffed: Path, tmp_path: Path) -> Iterator[House]:
    """With two accounts, a camera that is a guest's, and perhaps a token."""
    shutil.copytree(staffed, tmp_path / "data")
    guest = Guest("phone")
    made = House(tmp_path / "data", [guest], getattr(request, "param", None))
    yield made
    made.close()
    guest.close()


@pytest.fixture
def empty_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """Where nobody has an account."""
    made = House(tmp_path, token=getattr(request, "param", None))
    yield made
    made.close()
