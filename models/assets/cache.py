"""The user's cache: where what was fetched lies, and whether it is still what was written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from platformdirs import user_cache_path

from models.assets.manifest import Asset, Trained


def folder() -> Path:
    """The folder that holds everything fetched: UNBLUR_CACHE, or the user's cache folder for unblur."""
    override = os.environ.get("UNBLUR_CACHE")
    return Path(override) if override else user_cache_path("unblur")


def path(asset: Asset) -> Path:
    """Where the pinned file lies once it has been fetched."""
    return folder() / asset.kind / asset.file


def is_verified(asset: Asset) -> bool:
    """Whether the cache holds exactly the pinned bytes."""
    file = path(asset)
    return file.is_file() and file.stat().st_size == asset.size and digest(file) == asset.sha256


def matches_manifest(network: Trained) -> bool:
    """Whether the file that came with unblur is the network that was measured."""
    return network.path.is_file() and digest(network.path) == network.sha256


def write(file: Path, content: bytes) -> None:
    """All of it or nothing. One worker writes at a time, so that the temporary name is free."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(file.suffix + ".part")
    try:
        partial.write_bytes(content)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
