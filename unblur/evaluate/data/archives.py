"""Photographs out of the archives, or folders, that networks are trained and judged on."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from stream.errors import SourceError
from stream.values import Image


def read(archive: Path, every: int = 1, suffix: str = ".jpg") -> dict[str, Image]:
    """Every n-th photograph of a tar archive or a folder, by its path in it: the files of that suffix, in order.

    Raises SourceError if there is no such archive, or it cannot be read or holds no photograph.
    """
    contents = _in_folder if archive.is_dir() else _in_archive
    try:
        photographs = {name: _decoded(content, archive, name) for name, content in contents(archive, every, suffix)}
    except (OSError, EOFError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SourceError(f"cannot read the photographs {archive}: {reason}") from error
    if not photographs:
        raise SourceError(f"there are no photographs ({suffix}) in {archive}")
    return photographs


def _in_archive(archive: Path, every: int, suffix: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for name in sorted(name for name in tar.getnames() if name.endswith(suffix))[::every]:
            member = tar.extractfile(name)
            yield name, member.read() if member else b""


def _in_folder(folder: Path, every: int, suffix: str) -> Iterator[tuple[str, bytes]]:
    for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{suffix}"))[::every]:
        yield name, (folder / name).read_bytes()


def _decoded(content: bytes, archive: Path, name: str) -> Image:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        raise SourceError(f"{archive} holds {name}, which is not a picture")
    return np.asarray(image, np.uint8)


def centre(picture: Image, side: int) -> Image:
    """The middle `side` x `side` pixels."""
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return picture[top : top + side, left : left + side]
