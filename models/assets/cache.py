"""The user's cache of fetched files: paths, checksums and atomic writes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from platformdirs import user_cache_path

from models.assets.manifest import Asset, Trained


def folder() -> Path:
    """Return the cache folder: UNBLUR_CACHE, or the user's cache folder for unblur."""
    override = os.environ.get("UNBLUR_CACHE")
    return Path(override) if override else user_cache_path("unblur")


def path(asset: Asset) -> Path:
    """Return the path of a pinned file in the cache."""
    return folder() / asset.kind / asset.file


def is_verified(asset: Asset) -> bool:
    """Return whether the cache has exactly the pinned bytes."""
    file = path(asset)
    return file.is_file() and file.stat().st_size == asset.size and digest(file) == asset.sha256


def matches_manifest(network: Trained) -> bool:
    """Return whether the file that came with unblur has the sha256 of the manifest."""
    return network.path.is_file() and digest(network.path) == network.sha256


def write(file: Path, content: bytes) -> None:
    """Write a file atomically. The caller holds the lock, so that the temporary name is free."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(file.suffix + ".part")
    try:
        partial.write_bytes(content)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def digest(file: Path) -> str:
    """Return the sha256 of a file, 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
