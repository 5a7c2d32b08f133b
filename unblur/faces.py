"""The crops of enrolled photos, so that people can be seen: one PNG for each, in a folder that holds nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recognize.gallery import Gallery, photo_id
from stream.errors import OutputError, StorageError
from stream.picture import write_picture
from unblur.examination import Shot


def faces_of(gallery: Path) -> Path:
    """The folder for the crops of a gallery's photos: beside its file."""
    return gallery.with_name(f"{gallery.name}.faces")


class Faces:
    """Raises OutputError if the folder cannot be made, StorageError when the disk refuses later."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error

    def keep(self, shots: Iterable[Shot]) -> None:
        """Their crops."""
        try:
            for shot in shots:
                if shot.crop is not None and shot.embedding is not None:
                    write_picture(self._file(photo_id(shot.embedding)), shot.crop)
        except OSError as error:
            raise StorageError(f"cannot keep crops in {self._folder}: {error.strerror}; make room") from error

    def tidy(self, gallery: Gallery) -> None:
        """Of a photo that nobody is known by, nothing stays."""
        try:
            for file in self._folder.glob("*.png*"):  # a crash may have left a part of one
                if file.stem not in gallery.photos:
                    file.unlink()
        except OSError as error:
            raise StorageError(f"cannot delete crops in {self._folder}: {error.strerror}") from error

    def has(self, photo: str) -> bool:
        """Whether the crop of an enrolled photo is here: of one that `unblur enroll` took there is none."""
        return self._file(photo).is_file()

    def read(self, photo: str) -> bytes | None:
        """The PNG of an enrolled photo's crop, if it is here."""
        try:
            return self._file(photo).read_bytes()
        except FileNotFoundError:
            return None

    def _file(self, photo: str) -> Path:
        return self._folder / f"{photo}.png"
