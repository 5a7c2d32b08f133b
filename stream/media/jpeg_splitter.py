"""JPEG pictures one after the other in a stream of bytes (Motion JPEG), whatever stands between them.

Cameras differ in how they part them: with a boundary that is not the one announced, without the first boundary, without
headers of a part, without anything. A JPEG says itself where it ends (ITU-T T.81, Annex B), so that only the pictures
are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from stream.errors import SourceError

START = b"\xff\xd8\xff"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""After the beginning of a scan: a marker that is neither a stuffed byte, a restart nor a fill byte."""
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""
_SCAN, _END, _BEGIN = 0xDA, 0xD9, 0xD8
_READ = 65536
_LARGEST = 64_000_000
"""Bytes; what is larger is no picture of a camera."""


def split_jpegs(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Each whole JPEG as soon as its last byte has come. `read` gives b"" at the end.

    Raises SourceError if the bytes in which a picture must lie grow beyond 64 MB.
    """
    splitter = _Splitter()
    while part := read(_READ):
        yield from splitter.feed(part)


class _Splitter:
    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        """Where the next marker is looked for; 0: no picture has begun."""
        self._in_scan = False

    def feed(self, part: bytes) -> Iterator[bytes]:
        self._data += part
        while self._step():
            if picture := self._finish():
                yield picture
        if len(self._data) > _LARGEST:
            raise SourceError("no picture of less than 64 MB in it")

    def _step(self) -> bool:
        """Go on to the next marker; False if more bytes are needed."""
        if not self._at:
            return self._begin()
        if self._in_scan:
            return self._find_marker()
        if len(self._data) < self._at + 4 and self._data[self._at : self._at + 2] != b"\xff\xd9":
            return False
        return self._read_marker()

    def _begin(self) -> bool:
        start = self._data.find(START)
        del self._data[: start if start >= 0 else max(len(self._data) - len(START) + 1, 0)]
        self._at = 2 if start >= 0 else 0
        return start >= 0

    def _find_marker(self) -> bool:
        found = _MARKER.search(self._data, self._at)
        self._at = found.start() if found else max(len(self._data) - 1, self._at)
        self._in_scan = found is None
        return found is not None

    def _read_marker(self) -> bool:
        first, marker = self._data[self._at], self._data[self._at + 1]
        if first != 0xFF or marker == _BEGIN:
            self._drop(self._at)  # broken off: the next one may have begun
        elif marker == 0xFF:
            self._at += 1
        elif marker in _ALONE:
            self._at += 2
        elif marker != _END:
            self._at += 2 + int.from_bytes(self._data[self._at + 2 : self._at + 4], "big")
            self._in_scan = marker == _SCAN
        return True

    def _finish(self) -> bytes | None:
        """The picture, if its end has been reached."""
        if self._in_scan or not self._at or self._data[self._at : self._at + 2] != b"\xff\xd9":
            return None
        picture = bytes(self._data[: self._at + 2])
        self._drop(self._at + 2)
        return picture

    def _drop(self, count: int) -> None:
        del self._data[:count]
        self._at = 0
