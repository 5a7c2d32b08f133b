"""`unblur events crops`: encrypted pictures of evidence, for those who have the key."""

from __future__ import annotations

from pathlib import Path

from stream.errors import OutputError, StorageError, UsageError
from stream.storage.append_only_file import write_whole
from stream.storage.encryption import Cipher, opened


def decrypt(folder: Path, out: Path, cipher: Cipher | None) -> int:
    """Write the pictures of a folder of evidence into another, decrypted where they are encrypted; how many there were.

    Raises UsageError without the right key, or where there are no pictures.
    """
    pictures = sorted(folder.glob("*.png"))
    if not pictures:
        raise UsageError(f"{folder} holds no pictures: name a folder of evidence")
    if out.resolve() == folder.resolve():
        raise UsageError(f"{out} is the evidence itself: name another folder")
    opened(pictures[0], pictures[0].read_bytes(), cipher)  # before anything is made
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}; choose another --out") from error
    for picture in pictures:
        content = opened(picture, picture.read_bytes(), cipher)
        try:
            write_whole(out / picture.name, content)
        except OSError as error:
            raise StorageError(f"cannot write to {out}: {error.strerror}; make room and try again") from error
    return len(pictures)
