"""Faces to train on, made of public-domain portraits. Needs torch (the extra `train`); skips without."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`")

from recognize.embedders.subspaces import Labels
from stream.values import Image
from tests.recognize.conftest import album


@pytest.fixture(scope="session")
def people(crop_of: Callable[[str], Image]) -> tuple[list[Image], Labels]:
    """Nine crops of each of three people, with labels."""
    return album([crop_of(name) for name in ("obama2.jpg", "biden.jpg", "astronaut.png")])
