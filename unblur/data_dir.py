"""The folder of data, where `unblur serve` keeps what it knows, and the database of the application in it."""

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
"""The folder of data of the demo, within another."""
_STORE, _EVIDENCE, DATABASE, _LOCK = "events.sqlite", "evidence", "application.sqlite", "application.lock"


def place_of_data(named: Path | None) -> Path:
    """Where the folder is to be: the user's own if none is named. Nothing is made."""
    return named or user_data_path("unblur")


def folder_of_data(named: Path | None) -> Path:
    """The folder, made if it is not there, for its owner alone; the user's own if none is named. Raises OutputError."""
    folder = place_of_data(named)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; name another as serve.data") from error
    return folder


def require_folder_of_data(folder: Path) -> None:
    """Raises UsageError if nothing was ever served from there."""
    if not (folder / DATABASE).is_file():
        raise UsageError(f"{folder} is no folder of data of `unblur serve`: there is no {DATABASE} in it")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While this process serves from the folder, or forgets in it. Raises OutputError where another does."""
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


def placed(config: Config, folder: Path, only_there: bool = False) -> Config:
    """The configuration with its gallery, store and evidence in the folder of data, unless it says where; and with
    `only_there` those alone that are there."""
    store, evidence, gallery = (
        folder / name if not only_there or (folder / name).exists() else None for name in (_STORE, _EVIDENCE, GALLERY)
    )
    output = config.output.model_copy(update={
        "store": config.output.store or (f"sqlite:///{store}" if store else None),
        "evidence": config.output.evidence or evidence,
    })  # fmt: skip
    known = config.recognition.model_copy(update={"gallery": config.recognition.gallery or gallery})
    return config.model_copy(update={"output": output, "recognition": known})
