"""Store of the enrolled photos' crops: one PNG per photo, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recognize.gallery.people_gallery import Gallery
from stream.errors import OutputError, StorageError
from stream.storage.atomic_files import atomic_write
from stream.storage.encryption import Cipher, decrypt_if, encrypt_if, is_sealed
from stream.storage.images import png
from stream.values import Image


def thumbnails_folder(gallery: Path) -> Path:
    """Return the folder for the crops of a gallery's photos, next to the gallery's file."""
    return gallery.with_name(f"{gallery.name}.faces")


def encode_thumbnail(crop: Image, cipher: Cipher | None) -> bytes:
    """Encode a crop as PNG, encrypted if a cipher is given."""
    return encrypt_if(png(crop), cipher)


class FaceThumbnails:
    """The crops in `folder`, created if missing. Writing requires the gallery's lock
    (`recognize.gallery.people_gallery.gallery_lock`), reading does not.

    Raises OutputError if the folder cannot be created, StorageError if it cannot be written later.
    """

    def __init__(self, folder: Path, cipher: Cipher | None) -> None:
        self._folder, self._cipher = folder, cipher
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error

    def save(self, contents: Iterable[tuple[str, bytes]]) -> None:
        """Write crops: pairs of a photo's id in the gallery and the result of `encode_thumbnail`."""
        try:
            for photo, each in contents:
                atomic_write(self._file(photo), each)
        except OSError as error:
            raise StorageError(f"cannot keep crops in {self._folder}: {error.strerror}; make room") from error

    def tidy(self, gallery: Gallery) -> None:
        """Delete the crops of photos that are not in the gallery; with a cipher, encrypt those that are not yet."""
        try:
            for file in self._folder.glob("*.png*"):  # also partial files left by a crash
                if file.stem not in gallery.photos:
                    file.unlink()
                elif self._cipher and not _is_sealed(file):
                    atomic_write(file, self._cipher.encrypt(file.read_bytes()))
        except OSError as error:
            raise StorageError(f"cannot tidy the crops in {self._folder}: {error.strerror}") from error

    def has(self, photo: str) -> bool:
        """Whether the crop of an enrolled photo is stored."""
        return self._file(photo).is_file()

    def read(self, photo: str) -> bytes | None:
        """Return the PNG of a photo's crop, None if it is not stored. Raises UsageError for a wrong key."""
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
