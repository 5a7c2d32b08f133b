"""Names of files and folders that operating systems and NAS devices create, and that hold no images of the user."""

from __future__ import annotations

from pathlib import PurePath

_NAMES = frozenset({
    "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot",  # Synology, QNAP
    "$recycle.bin", "recycler", "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini",  # Windows
    "__macosx", "icon\r", "network trash folder", "temporary items",  # macOS
    "lost+found",  # ext file systems
})  # fmt: skip
_SIDECARS = frozenset({".txt", ".md", ".json", ".csv", ".xml", ".xmp", ".aae", ".html", ".log"})


def is_system(path: PurePath) -> bool:
    """Whether the file or folder belongs to the system or is hidden: recycle bins, thumbnails, `._*` of a Mac."""
    return path.name.startswith(".") or path.name.casefold() in _NAMES


def is_sidecar(path: PurePath) -> bool:
    """Whether the file has the suffix of a text file, such as metadata of an image."""
    return path.suffix.lower() in _SIDECARS
