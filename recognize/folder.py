"""Photos to enrol: one folder per person, named after them, with pictures and perhaps an `about.txt`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from stream.errors import UsageError
from stream.names import fitting_name, fitting_text
from stream.picture import is_picture

ABOUT = "about.txt"
LONGEST_DESCRIPTION = 10_000
"""Characters of an `about.txt`."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A person's name (Unicode NFC), their pictures in the order of their names, and what `about.txt` says of them."""

    name: str
    photos: tuple[Path, ...]
    description: str | None

    def digest(self) -> str:
        """The sha256 of all that enrolment reads here, in hexadecimal: the same as long as nothing has changed."""
        digest = sha256((self.description or "").encode())
        for photo in self.photos:
            digest.update(photo.name.encode(errors="surrogateescape"))
            digest.update(sha256(_content(photo)).digest())
        return digest.hexdigest()


def folders(faces: Path) -> list[Folder]:
    """The people in a folder of folders, by name. Hidden folders, and files that are no pictures, are passed over.

    Raises UsageError if there is no such folder, it cannot be read or nobody is in it, if two names are the same but
    for their encoding, or if a folder is called what nobody can be called (`stream.names`).
    """
    if not faces.is_dir():
        raise UsageError(f"{faces} is not a folder: give one that holds a folder of photos for each person")
    try:
        found = [_folder(path) for path in sorted(faces.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read ({error.strerror}): check its permissions") from error
    if not found:
        raise UsageError(f"{faces} holds no folders: give each person one, named after them, with photos in it")
    name, count = Counter(folder.name for folder in found).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{faces} holds {count} folders that all read '{name}': put their photos into one")
    return found


def _folder(path: Path) -> Folder:
    photos = sorted(photo for photo in path.iterdir() if photo.is_file() and is_picture(photo))
    about = path / ABOUT
    description = about.read_text("utf-8", errors="replace") if about.is_file() else ""
    return Folder(_named(path), tuple(photos), _described(about, description) or None)


def _named(path: Path) -> str:
    try:
        return fitting_name(path.name)
    except UsageError as error:
        shown = ascii(path.name).strip("'")
        raise UsageError(f"{path.parent}: the folder {shown} names nobody: {error}: rename it") from error


def _described(about: Path, description: str) -> str:
    try:
        return fitting_text(description, LONGEST_DESCRIPTION)
    except UsageError as error:
        raise UsageError(f"{about}: {error}: change it") from error


def _content(photo: Path) -> bytes:
    """Nothing for a photo that cannot be read: enrolment will say so of it."""
    try:
        return photo.read_bytes()
    except OSError:
        return b""
