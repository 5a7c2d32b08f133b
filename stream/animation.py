"""Picture files that hold more than one picture: animations (GIF, APNG, WebP) and pages (TIFF)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

PLAYED = frozenset({".gif", ".png"})
"""Those that FFmpeg plays as a film."""
_SEVERAL = frozenset({".gif", ".png", ".webp", ".tif", ".tiff"})


def count_pictures(path: Path) -> int:
    """How many pictures a file holds; 1 where it cannot be told, which whoever reads it will say."""
    if path.suffix.lower() not in _SEVERAL:
        return 1
    try:
        with Pillow.open(path) as picture:
            return int(getattr(picture, "n_frames", 1))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, Pillow.DecompressionBombError):
        return 1
