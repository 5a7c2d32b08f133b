"""Checkpoints of a training: read and written as a whole."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from stream.errors import StorageError


def read_checkpoint(file: Path, device: torch.device) -> dict[str, Any]:
    """Raises ValueError if it is no checkpoint."""
    try:
        state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    except (RuntimeError, LookupError, EOFError, UnpicklingError) as error:  # whatever the bytes happen to mean
        raise ValueError(f"{file} is no checkpoint, or a damaged one: remove it to begin anew") from error
    return state


def write_checkpoint(file: Path, state: object) -> None:
    """At once or not at all."""
    beside = file.with_suffix(".part")
    try:
        torch.save(state, beside)
        beside.replace(file)
    except (OSError, RuntimeError) as error:  # torch tells of a full disk by the latter
        raise StorageError(f"{file} cannot be written: {' '.join(str(error).split())[:200]}") from error
    finally:
        beside.unlink(missing_ok=True)
