"""Atomic files: written whole or not at all, under another name that then replaces theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED, PRIVATE = 0o666, 0o600
"""Modes of new files: as the user's umask allows, or readable by the owner only."""

_BINARY: int = getattr(os, "O_BINARY", 0)


@contextmanager
def part_file(path: Path) -> Iterator[Path]:
    """The path of a new file next to `path`, to be written in this context. At its end the file takes the name `path`;
    after an exception it is deleted. Raises OSError."""
    part = part_path(path)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def atomic_write(path: Path, content: bytes, mode: int = SHARED) -> None:
    """Write a file, whole or not at all, and on disk but for its name (`sync_folder`). Raises OSError."""
    with part_file(path) as part:
        write_fsync(part, content, mode)


def write_fsync(path: Path, content: bytes, mode: int = SHARED) -> None:
    """Write a file that is on disk, but for its name, once it is written. Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """A new file's name is as durable as its folder."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def part_path(path: Path) -> Path:
    """What is written in place of the file, until it is whole."""
    return path.with_name(f"{path.name}.part")
