"""Reads photos to enroll: one folder per person, with the person's name, images and optionally an `about.txt`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from stream.errors import UsageError
from stream.names import normalize_name, normalize_text
from stream.storage.images import is_picture
from stream.storage.system_files import is_sidecar, is_system

ABOUT = "about.txt"
LONGEST_DESCRIPTION = 10_000
"""Largest number of characters of an `about.txt`."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A person's folder: name (Unicode NFC), path, images in the order of their names, and the text of `about.txt`."""

    name: str
    path: Path
    photos: tuple[Path, ...]
    description: str | None

    def digest(self) -> str:
        """Return the sha256 of all that enrollment reads here, in hexadecimal."""
        digest = sha256((self.description or "").encode())
        for photo in self.photos:
            digest.update(photo.name.encode(errors="surrogateescape"))
            digest.update(sha256(_content(photo)).digest())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file or folder that was not read although it may have been meant to be, and why."""

    path: Path
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


@dataclass(frozen=True, slots=True)
class PhotoFolders:
    """The people of a folder of folders, by name, and the files and folders that were not read."""

    people: Sequence[Folder]
    passed_over: Sequence[PassedOver]


def scan(faces: Path) -> PhotoFolders:
    """Find the people in a folder of folders. A person's images may be in subfolders.

    Hidden files, system files (recycle bins, thumbnails, `lost+found`) and text are ignored; everything else that is
    not read, such as links to folders, is reported. Raises UsageError if there is no such folder, it cannot be read or
    has no people, or if two names differ only in their encoding.
    """
    if not faces.is_dir():
        raise UsageError(f"{faces} is not a folder: give one that holds a folder of photos for each person")
    passed_over: list[PassedOver] = []
    try:
        people = [person for path in _entries(faces) if (person := _person(path, passed_over))]
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read ({error.strerror}): check its permissions") from error
    if not people:
        unread = f" that can be read ({passed_over[0]})" if passed_over else ""
        raise UsageError(f"{faces} holds no folders{unread}: give each person one, named after them, with photos in it")
    name, count = Counter(folder.name for folder in people).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{faces} holds {count} folders that all read '{name}': put their photos into one")
    return PhotoFolders(people, passed_over)


def _entries(folder: Path) -> list[Path]:
    """List the entries that users put there, in the order of names."""
    return sorted(path for path in folder.iterdir() if not is_system(path))


def _person(path: Path, passed_over: list[PassedOver]) -> Folder | None:
    """Read a person's folder; None for a file, and for a folder that cannot be read."""
    if not path.is_dir():
        if not is_sidecar(path):
            passed_over.append(PassedOver(path, "lies outside the people's folders"))
        return None
    if _is_undecodable(path.name):
        passed_over.append(PassedOver(path, "its name is not UTF-8: rename it"))
        return None
    try:
        name = normalize_name(path.name)
        about = _read_about(path / ABOUT, passed_over)
        photos = tuple(sorted(_photos(path, passed_over)))
    except UsageError as error:
        passed_over.append(PassedOver(path, f"names nobody: {error}"))
        return None
    except OSError as error:
        passed_over.append(PassedOver(Path(error.filename), f"cannot be read ({error.strerror})"))
        return None
    return Folder(name, path, photos, about)


def _is_undecodable(name: str) -> bool:
    """Return whether a name is not text in the file system's encoding: Python decodes such a byte to a lone
    surrogate."""
    return any("\ud800" <= letter <= "\udfff" for letter in name)


def _read_about(file: Path, passed_over: list[PassedOver]) -> str | None:
    if not file.is_file():
        return None
    try:
        return normalize_text(file.read_text("utf-8", errors="replace"), LONGEST_DESCRIPTION) or None
    except UsageError as error:
        passed_over.append(PassedOver(file, str(error)))
        return None


def _photos(folder: Path, passed_over: list[PassedOver]) -> Iterator[Path]:
    """Yield the images in a folder and its subfolders. Raises OSError if the folder itself cannot be read."""
    _entries(folder)

    def report(error: OSError) -> None:
        passed_over.append(PassedOver(Path(error.filename), f"cannot be read ({error.strerror})"))

    for directory, names, files in os.walk(folder, onerror=report):
        subfolders = [Path(directory, name) for name in sorted(names) if not is_system(Path(name))]
        links = [path for path in subfolders if path.is_symlink()]
        passed_over.extend(PassedOver(path, "is a link to a folder") for path in links)
        names[:] = [path.name for path in subfolders]  # os.walk descends into these
        yield from _pictures(Path(directory), files, passed_over)


def _pictures(folder: Path, files: Sequence[str], passed_over: list[PassedOver]) -> Iterator[Path]:
    for path in (folder / name for name in sorted(files)):
        if is_system(path):
            continue
        if is_picture(path) and path.is_file():
            yield path
        elif not is_sidecar(path):
            why = "leads to no file" if is_picture(path) else "is no picture by its name"
            passed_over.append(PassedOver(path, why))


def _content(photo: Path) -> bytes:
    """Read a photo; empty if it cannot be read, which enrollment will report."""
    try:
        return photo.read_bytes()
    except OSError:
        return b""
