"""How far a folder's chain was signed here, kept beside the private key: whoever can write to the folder, and not to
that place, cannot put another chain there and have the next run sign it."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

from stream.errors import OutputError, StorageError
from stream.journal import PRIVATE, sync_folder, write_whole

_NAME_LENGTH = 32


class Tidemark:
    """Of one folder, by where it lies. `link` is the number and the sha256 of the last link that was signed, None where
    none was. Raises OutputError if that cannot be read."""

    def __init__(self, marks: Path, folder: Path) -> None:
        place = os.path.realpath(folder)
        self.path = marks / f"{sha256(os.fsencode(place)).hexdigest()[:_NAME_LENGTH]}.json"
        self._folder = os.fsencode(place).decode(errors="backslashreplace")
        self.link = self._read()

    def set(self, number: int, digest: str) -> None:
        """On disk before it returns. Raises StorageError."""
        said = {"folder": self._folder, "number": number, "sha256": digest}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self.path, f"{json.dumps(said)}\n".encode(), PRIVATE)
            sync_folder(self.path.parent)
        except OSError as error:
            raise StorageError(
                f"cannot note in {self.path} how far {self._folder} is signed: {error.strerror}; make room there"
            ) from error
        self.link = (number, digest)

    def drop(self) -> None:
        """The folder was deleted, and may begin anew. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self.link = None

    def _read(self) -> tuple[int, str] | None:
        try:
            said = json.loads(self.path.read_bytes())
            return int(said["number"]), str(said["sha256"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise OutputError(
                f"{self.path} does not say how far {self._folder} was signed: verify that folder, then remove this file"
            ) from error
