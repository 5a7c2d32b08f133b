"""The data folder of `unblur serve`: people, events, evidence and accounts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_data_path

from configs.schema import Config
from stream.errors import OutputError, UsageError

GALLERY = "people.joblib"
DEMO = "demo"
"""Name of the demo's own data folder, inside another data folder."""
_STORE, _EVIDENCE, DATABASE, _LOCK = "events.sqlite", "evidence", "application.sqlite", "application.lock"


def data_folder_path(named: Path | None) -> Path:
    """Return the path of the data folder: `named`, or the user's default; creates nothing."""
    return named or user_data_path("unblur")


def make_data_folder(named: Path | None) -> Path:
    """Create the data folder if missing, accessible for its owner alone, and return its path. Raises OutputError."""
    folder = data_folder_path(named)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; name another as serve.data") from error
    return folder


def require_data_folder(folder: Path) -> None:
    """Raise UsageError if `folder` is not a data folder, that is, was never used by `unblur serve`."""
    if not (folder / DATABASE).is_file():
        raise UsageError(f"{folder} is no folder of data of `unblur serve`: there is no {DATABASE} in it")


@contextmanager
def lock_data_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a data folder, for serving from it or erasing in it. Raises OutputError if another process
    holds it."""
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise OutputError(f"cannot use {folder}: another unblur is writing there; end it, or name another") from error
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}; name another as serve.data") from error
    try:
        yield
    finally:
        lock.release()


def with_data_paths(config: Config, folder: Path, existing_only: bool = False) -> Config:
    """Return the configuration with the data folder's gallery, store and evidence where it names no others; with
    `existing_only`, only those that exist."""
    store, evidence, gallery = (
        folder / name if not existing_only or (folder / name).exists() else None
        for name in (_STORE, _EVIDENCE, GALLERY)
    )
    output = config.output.model_copy(update={
        "store": config.output.store or (f"sqlite:///{store}" if store else None),
        "evidence": config.output.evidence or evidence,
    })  # fmt: skip
    recognition = config.recognition.model_copy(update={"gallery": config.recognition.gallery or gallery})
    return config.model_copy(update={"output": output, "recognition": recognition})
