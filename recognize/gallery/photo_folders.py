"""Photos to enrol: one folder per person, named after them, with pictures and perhaps an `about.txt`."""

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
"""Characters of an `about.txt`."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A person's name (Unicode NFC), where the folder lies, their pictures in the order of their names, and what
    `about.txt` says of them."""

    name: str
    path: Path
    photos: tuple[Path, ...]
    description: str | None

    def digest(self) -> str:
        """The sha256 of all that enrolment reads here, in hexadecimal: the same as long as nothing has changed."""
        digest = sha256((self.description or "").encode())
        for photo in self.photos:
            digest.update(photo.name.encode(errors="surrogateescape"))
            digest.update(sha256(_content(photo)).digest())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file or folder that was not read though somebody may have meant it to be, and why."""

    path: Path
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


@dataclass(frozen=True, slots=True)
class PhotoFolders:
    """The people of a folder of folders, by name, and what was passed over there."""

    people: Sequence[Folder]
    passed_over: Sequence[PassedOver]


def scan(faces: Path) -> PhotoFolders:
    """Find the people in a folder of folders. A person's pictures may lie in subfolders of theirs.

    Hidden files and what a system leaves (recycle bins, thumbnails, `lost+found`) are as if they were not there, and so
    is text; whatever else is not read, links to further folders among it, is passed over and named.
    Raises UsageError if there is no such folder, it cannot be read or nobody is in it, or if two names are the same
    but for their encoding.
    """
    if not faces.is_dir():
        raise UsageError(f"{faces} is not a folder: give one that holds a folder of photos for each person")
    passed_over: list[PassedOver] = []
    try:
        people = [person for path in _own(faces) if (person := _person(path, passed_over))]
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read ({error.strerror}): check its permissions") from error
    if not people:
        unread = f" that can be read ({passed_over[0]})" if passed_over else ""
        raise UsageError(f"{faces} holds no folders{unread}: give each person one, named after them, with photos in it")
    name, count = Counter(folder.name for folder in people).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{faces} holds {count} folders that all read '{name}': put their photos into one")
    return PhotoFolders(people, passed_over)


def _own(folder: Path) -> list[Path]:
    """What people put there, in the order of names."""
    return sorted(path for path in folder.iterdir() if not is_system(path))


def _person(path: Path, passed_over: list[PassedOver]) -> Folder | None:
    """None for a file, and for a folder that cannot be read."""
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
    """Whether a name is not text in the file system's encoding: Python stands half a surrogate pair for such a byte."""
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
    """The pictures in a folder and its subfolders. Raises OSError if the folder itself cannot be read."""
    _own(folder)

    def refuse(error: OSError) -> None:
        passed_over.append(PassedOver(Path(error.filename), f"cannot be read ({error.strerror})"))

    for place, names, files in os.walk(folder, onerror=refuse):
        subfolders = [Path(place, name) for name in sorted(names) if not is_system(Path(name))]
        links = [path for path in subfolders if path.is_symlink()]
        passed_over.extend(PassedOver(path, "is a link to a folder") for path in links)
        names[:] = [path.name for path in subfolders]  # where the walk goes on
        yield from _pictures(Path(place), files, passed_over)


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
    """Nothing for a photo that cannot be read: enrolment will say so of it."""
    try:
        return photo.read_bytes()
    except OSError:
        return b""
