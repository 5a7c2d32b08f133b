"""The pictures behind the events: `<event id>.raw.png`, and `<event id>.restored.png` where a crop was restored."""

from __future__ import annotations

from pathlib import Path

from stream.data import Image, Restoration
from stream.errors import OutputError, StorageError
from stream.picture import write_picture


class EvidenceFolder:
    """Writes evidence into one folder. Raises OutputError if the folder cannot be made."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the evidence folder {folder}: {error.strerror}") from error
        self._folder = folder

    def keep(self, event_id: str, restoration: Restoration) -> str:
        """Write the pictures; the raw one's name, relative to the folder, so that a replay elsewhere is the same."""
        if restoration.method != "none":
            self._write(f"{event_id}.restored.png", restoration.image)
        name = f"{event_id}.raw.png"
        self._write(name, restoration.crop.image)
        return name

    def _write(self, name: str, image: Image) -> None:
        try:
            write_picture(self._folder / name, image)
        except OSError as error:
            raise StorageError(f"cannot keep evidence in {self._folder}: {error.strerror}") from error
