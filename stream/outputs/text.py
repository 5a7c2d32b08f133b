"""Text as a small picture, in whatever script a name is written.

Four steps, each the lightest that works on a machine with nothing installed but this program: the Unicode order of
right-to-left text (python-bidi), Arabic letters joined (arabic-reshaper), each character given to the first typeface
that has it, and the pieces set side by side. The typefaces are DejaVu Sans, which is handed in (Latin, Greek, Cyrillic,
Hebrew, Arabic, Armenian, Georgian); the one inside OpenCV 5 (Chinese, Japanese, Korean); then the system's fonts,
through fontconfig (colour emoji, Thai, the scripts of India). What none of them has is drawn as an empty box and said
once.
"""

from __future__ import annotations

import functools
import re
import subprocess
import threading
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import structlog
from arabic_reshaper import reshape
from bidi import get_display
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from stream.values import Image

Colour = tuple[int, int, int]
"""Blue, green, red, 0-255."""

_log = structlog.get_logger()
_NOWHERE = "\U0010ffff"  # a noncharacter: no typeface has it, so that its picture is the picture of a missing glyph
_PROBE_PX = 32
_EMOJI_STRIKE_PX = 109  # the one size Noto Color Emoji holds its bitmaps in
_EMOJI = range(0x1F000, 0x20000)  # here the system's colours come before our own few outlines
_BRACKETS = re.compile(r"([)\]}])([^()\[\]{}]*)([(\[{])")
_MIRROR = str.maketrans("()[]{}", ")(][}{")


class Font(Protocol):
    """Some characters' shapes."""

    def has(self, character: str) -> bool: ...
    def draw(self, text: str, size: int, ink: Colour) -> Pillow.Image:
        """`text` in visual order as RGBA, `line_height(size)` high."""
        ...


def line_height(size: int) -> int:
    """Pixels from line to line for letters of `size` pixels to the em."""
    return ceil(size * 1.4)


def _baseline(size: int) -> int:
    return round(size * 1.07)


class TextRenderer:
    """Sets lines of text. `typefaces` is a folder that holds DejaVuSans.ttf."""

    def __init__(self, typefaces: Path) -> None:
        self._own = _font_file(typefaces / "DejaVuSans.ttf")
        self._face_for = functools.lru_cache(maxsize=4096)(self._choose)

    def line(self, text: str, size: int, ink: Colour, paper: Colour) -> Image:
        """One line of text on a plate of colour, `line_height(size)` pixels high, with a little room at both ends."""
        pieces = [face.draw(run, size, ink) for face, run in self._runs(_visual(text))]
        room = size // 3
        width = sum(piece.width for piece in pieces) + 2 * room
        plate = Pillow.new("RGBA", (width, line_height(size)), (*paper[::-1], 255))
        x = room
        for piece in pieces:
            plate.alpha_composite(piece, (x, 0))
            x += piece.width
        return np.ascontiguousarray(np.asarray(plate)[:, :, 2::-1])

    def _runs(self, text: str) -> Iterator[tuple[Font, str]]:
        """Text split where the typeface changes; marks and joiners stay with the character that they belong to."""
        faces: list[Font] = []
        for character in text:
            joins = faces and unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf", "Sk"}
            faces.append(faces[-1] if joins else self._face_for(character))
        for face, group in groupby(zip(faces, text, strict=True), key=lambda pair: pair[0]):
            yield face, "".join(character for _, character in group)

    def _choose(self, character: str) -> Font:
        own = self._own if character.isspace() or self._own.has(character) else None
        if ord(character) in _EMOJI:
            face = _system(character) or own or _opencv(character)
        else:
            face = own or _opencv(character) or _system(character)
        if face is None:
            _say_missing(unicodedata.name(character, "UNNAMED").split()[0])
        return face or self._own


def _visual(text: str) -> str:
    """Text as the eye meets it from left to right, Arabic letters in their joined forms, nothing that is no letter."""
    printable = "".join(character if _printable(character) else " " for character in text)
    composed = unicodedata.normalize("NFC", printable)
    if not _is_right_to_left(composed):
        return composed
    return _BRACKETS.sub(_turn_brackets, str(get_display(reshape(composed))))


def _turn_brackets(match: re.Match[str]) -> str:
    """Brackets that the reordering left back to back: python-bidi moves them without mirroring them."""
    return match[1].translate(_MIRROR) + match[2] + match[3].translate(_MIRROR)


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cs", "Co", "Zl", "Zp"}


def _is_right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(character) in {"R", "AL"} for character in text)


@functools.lru_cache(maxsize=256)
def _say_missing(script: str) -> None:
    _log.warning("no font for a name's script", script=script, do="install its Noto font (Debian: fonts-noto)")


def _opencv(character: str) -> Font | None:
    face = _opencv_font()
    return face if face.has(character) else None


def _system(character: str) -> Font | None:
    """An installed font that has this character: one found before, or the one that fontconfig holds best."""
    for face in _installed:
        if face.has(character):
            return face
    family = "emoji" if ord(character) in _EMOJI else "sans"
    wanted = ["fc-match", "--format=%{file}", f"{family}:charset={ord(character):x}"]
    try:
        face = _font_file(Path(subprocess.run(wanted, capture_output=True, text=True, timeout=5, check=True).stdout))
    except (OSError, subprocess.SubprocessError):
        return None
    if not face.has(character):
        return None
    _installed.append(face)
    return face


_installed: list[_FontFile] = []
"""The system's fonts that were needed so far: asking fontconfig takes milliseconds, asking them does not."""


@functools.lru_cache(maxsize=32)
def _font_file(path: Path) -> _FontFile:
    return _FontFile(path)


@functools.cache
def _opencv_font() -> _OpenCvFont:
    return _OpenCvFont()


class _FontFile:
    """A TrueType or OpenType file, drawn by Pillow."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            ImageFont.truetype(path, _PROBE_PX)
            self._strike = None
        except OSError:
            ImageFont.truetype(path, _EMOJI_STRIKE_PX)
            self._strike = _EMOJI_STRIKE_PX
        self._missing = self._probe(_NOWHERE)

    def has(self, character: str) -> bool:
        return self._probe(character) != self._missing

    def draw(self, text: str, size: int, ink: Colour) -> Pillow.Image:
        drawn = self._strike or size
        font = self._font(drawn, _layout(text))
        width = max(ceil(font.getlength(text)), 1)
        piece = Pillow.new("RGBA", (width, line_height(drawn)), (*ink[::-1], 0))
        ImageDraw.Draw(piece).text(
            (0, _baseline(drawn)), text, (*ink[::-1], 255), font, anchor="ls", embedded_color=True
        )
        if drawn == size:
            return piece
        return piece.resize((max(round(width * size / drawn), 1), line_height(size)), Pillow.Resampling.BOX)

    def _probe(self, character: str) -> bytes:
        font = self._font(self._strike or _PROBE_PX, ImageFont.Layout.BASIC)
        return bytes(font.getmask(character, mode="L"))

    def _font(self, size: int, layout: ImageFont.Layout) -> ImageFont.FreeTypeFont:
        return _open_font(self._path, size, layout)


@functools.lru_cache(maxsize=64)
def _open_font(path: Path, size: int, layout: ImageFont.Layout) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=layout)


def _layout(text: str) -> ImageFont.Layout:
    """Shaping where Pillow can, except for right-to-left text, which it would turn round a second time."""
    return ImageFont.Layout.BASIC if text.isascii() or _is_right_to_left(text) else ImageFont.Layout.RAQM


class _OpenCvFont:
    """WenQuanYi Micro Hei, which OpenCV 5 carries as "uni" and draws itself."""

    def __init__(self) -> None:
        self._face = cv2.FontFace("uni")
        self._lock = threading.Lock()  # putText lets other threads run, while the face keeps state
        self._missing = self._probe(_NOWHERE)

    def has(self, character: str) -> bool:
        return self._probe(character) != self._missing

    def draw(self, text: str, size: int, ink: Colour) -> Pillow.Image:
        alpha = np.zeros((line_height(size), 2 * size * len(text)), np.uint8)
        with self._lock:
            end, _ = cv2.putText(alpha, text, (0, _baseline(size)), (255,), self._face, size, 400)
        piece = Pillow.new("RGBA", (max(end[0], 1), alpha.shape[0]), ink[::-1])
        piece.putalpha(Pillow.fromarray(alpha[:, : piece.width]))
        return piece

    def _probe(self, character: str) -> bytes:
        canvas = np.zeros((2 * _PROBE_PX, 2 * _PROBE_PX), np.uint8)
        with self._lock:
            cv2.putText(canvas, character, (0, _PROBE_PX), (255,), self._face, _PROBE_PX, 400)
        return canvas.tobytes()
