"""One still picture from a file, whatever its format, as the rest of the house wants it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from stream.data import Image
from stream.errors import SourceError
from stream.journal import write_whole

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".ppm"})
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
PIXELS_MOST = 128_000_000
"""Larger pictures are refused: as BGR they would take more than 384 MB."""

# Pillow's own limit only warns; ours refuses, before a pixel is decoded.
warnings.filterwarnings("ignore", category=Pillow.DecompressionBombWarning)

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Pillow.DecompressionBombError)
"""What Pillow raises over a file that is not a picture, is cut off or is damaged."""


def is_picture(path: Path) -> bool:
    """Whether the file's name says that it is a picture."""
    return path.suffix.lower() in SUFFIXES


def read_picture(path: Path) -> Image:
    """The picture of a file, upright (EXIF), H x W x 3 BGR uint8; of an animation the first frame.

    16-bit greys are scaled to 8 bits, transparency is laid over white, CMYK is converted without a colour profile.
    Raises SourceError if the file is missing, empty, damaged, no picture or larger than PIXELS_MOST.
    """
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: the file is empty")
        with path.open("rb") as file:
            return decode(file, FORMATS, PIXELS_MOST)
    except OSError as error:
        raise SourceError(f"{path}: the picture cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from error


def decode(file: IO[bytes], formats: tuple[str, ...], pixels_most: int, long_side: int | None = None) -> Image:
    """What `read_picture` gives, of an open file; if there is a `long_side`, shrunk until it is no longer than that.

    Raises ValueError, with the reason, if this is no picture of these `formats` with at most so many pixels.
    """
    try:
        with Pillow.open(file, formats=formats) as picture:
            return _decode(picture, pixels_most, long_side)
    except UnidentifiedImageError:
        raise ValueError(f"not a picture (known are {', '.join(formats)})") from None
    except _UNREADABLE as error:
        raise ValueError(f"the picture cannot be read: {getattr(error, 'strerror', None) or error}") from error


def write_picture(path: Path, image: Image) -> None:
    """Write a PNG, whole or not at all. Raises OSError."""
    write_whole(path, png(image))


def png(image: Image) -> bytes:
    """The picture as the content of a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()


def _decode(picture: Pillow.Image, pixels_most: int, long_side: int | None) -> Image:
    width, height = picture.size
    if width * height > pixels_most:
        raise ValueError(f"{width} x {height} is more than {pixels_most // 1_000_000} million pixels")
    if long_side:
        picture.draft(None, (long_side, long_side))  # a large JPEG need not be decoded in full
    upright = _to_rgb(ImageOps.exif_transpose(picture))
    if long_side:
        upright.thumbnail((long_side, long_side))
    return cv2.cvtColor(np.asarray(upright), cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)


def _to_rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode == "F":
        raise ValueError("floating-point pixels have no known range; save it with 8 or 16 bits")
    if picture.mode.startswith("I"):
        return Pillow.fromarray(_to_8_bits(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        white = Pillow.new("RGBA", picture.size, "white")
        return Pillow.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _to_8_bits(grey: np.ndarray) -> Image:
    return np.clip(np.round(grey / 257.0), 0, 255).astype(np.uint8)
