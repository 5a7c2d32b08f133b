"""Reads the photographs of a data archive or folder, for training and for experiments."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from stream.errors import SourceError
from stream.values import Image


def read(archive: Path, every: int = 1, suffix: str = ".jpg") -> dict[str, Image]:
    """Read every `every`-th photograph of a tar archive or a folder, sorted by path, keyed by path.

    Raises SourceError if the archive is missing, cannot be read or holds no file with the suffix.
    """
    read_files = _read_folder if archive.is_dir() else _read_tar
    try:
        photographs = {name: _decode(content, archive, name) for name, content in read_files(archive, every, suffix)}
    except (OSError, EOFError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SourceError(f"cannot read the photographs {archive}: {reason}") from error
    if not photographs:
        raise SourceError(f"there are no photographs ({suffix}) in {archive}")
    return photographs


def _read_tar(archive: Path, every: int, suffix: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for name in sorted(name for name in tar.getnames() if name.endswith(suffix))[::every]:
            member = tar.extractfile(name)
            yield name, member.read() if member else b""


def _read_folder(folder: Path, every: int, suffix: str) -> Iterator[tuple[str, bytes]]:
    for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{suffix}"))[::every]:
        yield name, (folder / name).read_bytes()


def _decode(content: bytes, archive: Path, name: str) -> Image:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        raise SourceError(f"{archive} holds {name}, which is not a picture")
    return np.asarray(image, np.uint8)


def crop_center(image: Image, side: int) -> Image:
    """Cut out the middle `side` x `side` pixels."""
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]
