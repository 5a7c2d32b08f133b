"""Encryption at rest: Fernet (AES-128-CBC and HMAC-SHA256, github.com/fernet/spec) with a key from a file."""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from stream.errors import UsageError

_BEGINNING = b"gAAAA"
"""Of every token: its version, and a time whose first bytes are 0 until the year 2106."""


class Cipher:
    """Encrypts and decrypts with the key in a file, 32 bytes in URL-safe base64.

    Raises UsageError if the file is missing or holds no such key.
    """

    def __init__(self, key: Path) -> None:
        self._path = key
        try:
            self._fernet = Fernet(key.expanduser().read_bytes().strip())
        except OSError as error:
            raise UsageError(f"cannot read the encryption key {key}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{key} holds no encryption key: that is 32 bytes in URL-safe base64") from error

    def encrypt(self, content: bytes) -> bytes:
        return self._fernet.encrypt(content)

    def decrypt(self, content: bytes, path: Path) -> bytes:
        """The content of the file at `path`. Raises UsageError if it was encrypted with another key, or is damaged."""
        try:
            return self._fernet.decrypt(content)
        except InvalidToken as error:
            raise UsageError(f"{path} is damaged, or was encrypted with another key than {self._path}") from error


def encrypt_if(content: bytes, cipher: Cipher | None) -> bytes:
    """The content as it is to lie in a file: encrypted where there is a cipher."""
    return cipher.encrypt(content) if cipher else content


def is_sealed(content: bytes) -> bool:
    """Whether a file with this content, or beginning, is encrypted."""
    return content.startswith(_BEGINNING)


def decrypt_if(path: Path, content: bytes, cipher: Cipher | None) -> bytes:
    """The content of the file at `path`, decrypted where it is encrypted. Raises UsageError without the right key."""
    if not is_sealed(content):
        return content
    if cipher is None:
        raise UsageError(f"{path} is encrypted: name the key's file in the configuration, as encryption.key")
    return cipher.decrypt(content, path)
