"""Still pictures of files in any format, decoded as BGR: the first of a file, and how many it holds."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from stream.errors import SourceError
from stream.storage.atomic_files import atomic_write
from stream.values import Image

SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".avifs", ".heic", ".heif", ".hif",
    ".bmp", ".dib", ".tif", ".tiff", ".gif", ".pgm", ".ppm", ".pbm", ".pnm",
})  # fmt: skip
HEIC = find_spec("pi_heif") is not None
"""Whether HEIC is decoded here: the extra `heic` is installed."""
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", *(("HEIF",) if HEIC else ()), "BMP", "TIFF", "GIF", "PPM")
"""What is decoded, by Pillow's names. JPEG includes MPO, several JPEGs in one file."""
PIXELS_MOST = 128_000_000
"""Larger pictures are refused: as BGR they would take more than 384 MB."""

# Pillow's own limit only warns; ours refuses, before a pixel is decoded. Damaged EXIF is warned of, too.
warnings.filterwarnings("ignore", category=Pillow.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
if HEIC:
    import_module("pi_heif").register_heif_opener()

_DAMAGE = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
    Pillow.DecompressionBombError,
)
"""What Pillow and the decoders behind it raise over a file that is not a picture, is cut off or is damaged: Pillow's
documentation names none (tests/stream/storage/test_images.py looks for others)."""
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation (Exif 3.0, tag 0x0112)."""
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""Major brands of HEIF files (ISO/IEC 23008-12)."""
_NO_HEIC = "HEIC needs the extra heic: pip install 'unblur[heic]', or save the picture as JPEG"


@dataclass(frozen=True, slots=True, eq=False)
class StillPicture:
    """The first picture of a file, upright (EXIF), H x W x 3 BGR uint8; and how many pictures the file holds: more than
    one in an animation, a burst or a TIFF of several pages. The second view of a stereo pair (MPO) does not count."""

    image: Image
    pictures: int = 1
    pixels: int = 0
    """Of the file's picture, before it was shrunk; 0 where that is not known."""

    @property
    def remark(self) -> str | None:
        """What is to be said of the pictures that were not decoded; None if there are none."""
        return None if self.pictures <= 1 else f"only the first of its {self.pictures} pictures was taken"


def is_picture(path: Path) -> bool:
    """Whether the file's name says that it is a picture."""
    return path.suffix.lower() in SUFFIXES


def read_picture(path: Path) -> Image:
    """The picture of a file, upright (EXIF), H x W x 3 BGR uint8; of an animation the first frame.

    16-bit greys are scaled to 8 bits, transparency is laid over white, CMYK is converted without a colour profile.
    Raises SourceError if the file is missing, empty, damaged, no picture or larger than PIXELS_MOST.
    """
    return read_still(path).image


def read_still(path: Path) -> StillPicture:
    """What `read_picture` reads, with the number of pictures in the file. Raises SourceError as it does."""
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: the file is empty")
        with path.open("rb") as file:
            return decode(file, FORMATS, PIXELS_MOST)
    except OSError as error:
        raise SourceError(f"{path}: the picture cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from error


def decode(file: IO[bytes], formats: tuple[str, ...], pixels_most: int, long_side: int | None = None) -> StillPicture:
    """What `read_still` gives, of an open file; if there is a `long_side`, shrunk until it is no longer than that.

    Raises ValueError, with the reason, if this is no picture of these `formats` with at most so many pixels.
    """
    with _damage_named(file, formats), Pillow.open(file, formats=formats) as picture:
        width, height = picture.size
        if width * height > pixels_most:
            raise ValueError(f"{width} x {height} is more than {pixels_most // 1_000_000} million pixels")
        return StillPicture(_decode(picture, long_side), _count(picture), width * height)


def count_pictures(path: Path) -> int:
    """How many pictures a file holds: frames of an animation, pages of a TIFF; 1 if the file cannot be read as a
    picture, for which reading it raises the error."""
    try:
        with path.open("rb") as file, _damage_named(file, FORMATS), Pillow.open(file, formats=FORMATS) as picture:
            return _count(picture)
    except (OSError, ValueError):
        return 1


def write_picture(path: Path, image: Image) -> None:
    """Write a PNG, whole or not at all. Raises OSError."""
    atomic_write(path, png(image))


def png(image: Image) -> bytes:
    """The picture as the content of a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()


@contextmanager
def _damage_named(file: IO[bytes], formats: tuple[str, ...]) -> Iterator[None]:
    """The one boundary at which the decoders' errors are met: each leaves as a ValueError of one line."""
    try:
        yield
    except UnidentifiedImageError:
        raise ValueError(_NO_HEIC if not HEIC and _is_heif(file) else _unknown(formats)) from None
    except _DAMAGE as error:
        raise ValueError(f"the picture cannot be read: {_reason(error)}") from error


def _unknown(formats: tuple[str, ...]) -> str:
    return f"not a picture (known are {', '.join(formats)})"


def _reason(error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())


def _is_heif(file: IO[bytes]) -> bool:
    file.seek(0)
    head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _decode(picture: Pillow.Image, long_side: int | None) -> Image:
    if long_side:
        picture.draft(None, (long_side, long_side))  # a large JPEG need not be decoded in full
    turn = _UPRIGHT.get(_orientation(picture))
    picture.load()
    upright = _to_rgb(picture if turn is None else picture.transpose(turn))
    if long_side:
        upright.thumbnail((long_side, long_side))
    return cv2.cvtColor(np.asarray(upright), cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)


def _orientation(picture: Pillow.Image) -> int:
    """By EXIF or XMP; 1, upright, where they say nothing that can be read. The other tags do not matter here:
    Pillow's own `exif_transpose` would write them again, and fails over one whose type is wrong."""
    try:
        stated = picture.getexif().get(_ORIENTATION)
    except _DAMAGE:
        return 1
    return stated if isinstance(stated, int) else 1


def _count(picture: Pillow.Image) -> int:
    if picture.format == "MPO":
        return 1
    try:
        return int(getattr(picture, "n_frames", 1))
    except _DAMAGE:
        return 1  # what stands behind the first picture is damaged


def _to_rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode == "F":
        raise ValueError("floating-point pixels have no known range; save it with 8 or 16 bits")
    if picture.mode == "I" and picture.format == "TIFF":
        raise ValueError("32-bit pixels have no known range; save it with 8 or 16 bits")
    if picture.mode.startswith("I"):
        return Pillow.fromarray(_to_8_bits(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        white = Pillow.new("RGBA", picture.size, "white")
        return Pillow.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _to_8_bits(grey: np.ndarray) -> Image:
    return np.clip(np.round(grey / 257.0), 0, 255).astype(np.uint8)
