"""Signatures of evidence: Ed25519 (RFC 8032), with a key of this user that is created on first use."""

from __future__ import annotations

import json
import os
import tempfile
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from platformdirs import user_data_path

from stream.errors import OutputError, StorageError, UsageError
from stream.storage.atomic_files import PRIVATE, atomic_write, sync_folder

_NAME_LENGTH = 16


class Signer:
    """Signs with this user's private key, a file that only its owner can read. Raises OutputError if there can be
    none."""

    def __init__(self, path: Path | None = None) -> None:
        """`path` is the file of the private key; by default in the user's data folder."""
        path = path or user_data_path("unblur") / "evidence.key"
        try:
            if not path.exists():
                _make(path)
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise OutputError(f"no key to sign evidence with at {path}: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise OutputError(f"{path} is no private key: restore it, or move it away and a new one is made") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise OutputError(f"{path} is no Ed25519 key: move it away and one is made")
        self._key = key
        self._marks = path.with_name(f"{path.name}.marks")
        self.public = PublicKey(key.public_key())

    def mark(self, folder: Path) -> ChainAnchor:
        """The anchor of this folder's chain: its last entry that was signed here. Raises OutputError."""
        return ChainAnchor(self._marks, folder)

    def sign(self, content: bytes) -> str:
        """The signature, 64 bytes in hexadecimal."""
        return self._key.sign(content).hex()


class PublicKey:
    """A public key. `name` is the beginning of the sha256 of its 32 bytes, in hexadecimal."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.name = sha256(key.public_bytes_raw()).hexdigest()[:_NAME_LENGTH]

    @classmethod
    def read(cls, path: Path) -> PublicKey:
        """Read a key from a PEM file. Raises UsageError if it holds none."""
        try:
            return cls.of(path.read_bytes())
        except OSError as error:
            raise UsageError(f"cannot read the public key {path}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{path} is no public key: it is the file signer-….pem of an evidence folder") from error

    @classmethod
    def of(cls, pem: bytes) -> PublicKey:
        """Parse a PEM. Raises ValueError if it is no Ed25519 key."""
        try:
            key = load_pem_public_key(pem)
        except UnsupportedAlgorithm as error:
            raise ValueError("an unknown kind of key") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("not an Ed25519 key")
        return cls(key)

    def pem(self) -> bytes:
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def signed(self, signature: str, content: bytes) -> bool:
        """Whether this key's owner signed the content; `signature` as `Signer.sign` writes it, to the letter."""
        try:
            raw = bytes.fromhex(signature)
            self._key.verify(raw, content)
        except (ValueError, InvalidSignature):
            return False
        return raw.hex() == signature


def pem_name(key: str) -> str:
    """Name of the file of this public key, in the folder that it signed."""
    return f"signer-{key}.pem"


def _make(path: Path) -> None:
    """Create the key file atomically, unless another process has created one meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle, name = tempfile.mkstemp(dir=path.parent)  # which only its owner can read
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(part)
    except FileExistsError:
        pass  # another process was first
    finally:
        part.unlink(missing_ok=True)


_FINGERPRINT_LENGTH = 32


class ChainAnchor:
    """High-water mark of the signed chain of one folder, by its path. `link` is the number and the sha256 of the last
    signed entry, None if there was none. Raises OutputError if it cannot be read."""

    def __init__(self, marks: Path, folder: Path) -> None:
        place = os.path.realpath(folder)
        self.path = marks / f"{sha256(os.fsencode(place)).hexdigest()[:_FINGERPRINT_LENGTH]}.json"
        self._folder = os.fsencode(place).decode(errors="backslashreplace")
        self.link = self._read()

    def set(self, number: int, digest: str) -> None:
        """Store the last signed entry durably. Raises StorageError."""
        content = {"folder": self._folder, "number": number, "sha256": digest}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            atomic_write(self.path, f"{json.dumps(content)}\n".encode(), PRIVATE)
            sync_folder(self.path.parent)
        except OSError as error:
            raise StorageError(
                f"cannot note in {self.path} how far {self._folder} is signed: {error.strerror}; make room there"
            ) from error
        self.link = (number, digest)

    def drop(self) -> None:
        """Delete the mark, because the folder was deleted and starts again. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self.link = None

    def _read(self) -> tuple[int, str] | None:
        try:
            content = json.loads(self.path.read_bytes())
            return int(content["number"]), str(content["sha256"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise OutputError(
                f"{self.path} does not say how far {self._folder} was signed: verify that folder, then remove this file"
            ) from error
