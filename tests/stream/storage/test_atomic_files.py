"""A file is replaced as a whole, or stays as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.storage.atomic_files import PRIVATE, atomic_write, part_file


def test_a_part_file_takes_the_place_of_the_file_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with part_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_exception_the_file_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        _write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path) -> None:
    with part_file(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's; root may read all")
def test_a_private_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    atomic_write(tmp_path / "key", b"secret", PRIVATE)
    assert (tmp_path / "key").read_bytes() == b"secret"
    assert (tmp_path / "key").stat().st_mode & 0o777 == PRIVATE
