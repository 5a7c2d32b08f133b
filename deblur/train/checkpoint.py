"""Reads and writes training checkpoints."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from stream.errors import StorageError
from stream.storage.atomic_files import part_file


def read_checkpoint(file: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint. Raises ValueError if it is none."""
    try:
        state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    except (RuntimeError, LookupError, EOFError, UnpicklingError) as error:  # arbitrary bytes raise any of these
        raise ValueError(f"{file} is no checkpoint, or a damaged one: remove it to begin anew") from error
    return state


def write_checkpoint(file: Path, state: object) -> None:
    """Write a checkpoint atomically. Raises StorageError."""
    try:
        with part_file(file) as part:
            torch.save(state, part)
    except (OSError, RuntimeError) as error:  # torch raises the latter for a full disk
        raise StorageError(f"{file} cannot be written: {' '.join(str(error).split())[:200]}") from error
