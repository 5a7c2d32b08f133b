"""The crops of enrolled photos, so that people can be seen: one PNG for each, in a folder that holds nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recognize.gallery.people_gallery import Gallery
from stream.errors import OutputError, StorageError
from stream.storage.append_only_file import atomic_write
from stream.storage.encryption import Cipher, decrypt_if, encrypt_if, is_sealed
from stream.storage.images import png
from stream.values import Image


def faces_of(gallery: Path) -> Path:
    """The folder for the crops of a gallery's photos: beside its file."""
    return gallery.with_name(f"{gallery.name}.faces")


def content(crop: Image, cipher: Cipher | None) -> bytes:
    """What a crop's file holds: a PNG, encrypted where there is a cipher."""
    return encrypt_if(png(crop), cipher)


class FaceThumbnails:
    """The folder, for whoever holds the gallery's lock (`recognize.gallery.people_gallery.alone`); reading needs none.

    Raises OutputError if it cannot be made, StorageError when the disk refuses later.
    """

    def __init__(self, folder: Path, cipher: Cipher | None) -> None:
        self._folder, self._cipher = folder, cipher
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error

    def keep(self, contents: Iterable[tuple[str, bytes]]) -> None:
        """Of each photo, by what it is called in the gallery, the `content` of its crop."""
        try:
            for photo, each in contents:
                atomic_write(self._file(photo), each)
        except OSError as error:
            raise StorageError(f"cannot keep crops in {self._folder}: {error.strerror}; make room") from error

    def tidy(self, gallery: Gallery) -> None:
        """Of a photo that nobody is known by, nothing stays; and where there is a cipher, nothing stays plain."""
        try:
            for file in self._folder.glob("*.png*"):  # a crash may have left a part of one
                if file.stem not in gallery.photos:
                    file.unlink()
                elif self._cipher and not _is_sealed(file):
                    atomic_write(file, self._cipher.encrypt(file.read_bytes()))
        except OSError as error:
            raise StorageError(f"cannot tidy the crops in {self._folder}: {error.strerror}") from error

    def has(self, photo: str) -> bool:
        """Whether the crop of an enrolled photo is here."""
        return self._file(photo).is_file()

    def read(self, photo: str) -> bytes | None:
        """The PNG of an enrolled photo's crop, if it is here. Raises UsageError if the key is not its own."""
        file = self._file(photo)
        try:
            return decrypt_if(file, file.read_bytes(), self._cipher)
        except FileNotFoundError:
            return None

    def _file(self, photo: str) -> Path:
        return self._folder / f"{photo}.png"


def _is_sealed(path: Path) -> bool:
    with path.open("rb") as file:
        return is_sealed(file.read(8))
