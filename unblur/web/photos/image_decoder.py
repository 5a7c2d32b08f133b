"""Decoding what strangers sent, in a process of its own: what hangs, swells or crashes there can be ended from here."""

from __future__ import annotations

import io
import json
import multiprocessing
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from stream.storage import images
from stream.storage.images import StillPicture, decode
from unblur import crash_reports

FORMATS = tuple(name for name in images.FORMATS if name not in {"TIFF", "PPM"})
"""What browsers and telephones send."""
MEMORY = 2 << 30
"""Bytes that the process may need beside what it starts with: the largest picture with transparency took 1.1 GB."""
SCANS = 100
"""Of a JPEG; encoders make about ten."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""Of a segment; within a scan FF is followed by 00 or by the number of a restart."""
_READY = b"ready"
_TAKEN = Path("/proc/self/statm")
"""Begins with the pages of memory that this process has taken (Linux)."""


class Decoder:
    """Turns files into pictures. Used by one thread at a time; `close` ends the process.

    A file with more than `pixels` is refused before it is decoded; one that takes longer than `seconds` loses its
    process, and the next gets a new one.
    """

    def __init__(self, pixels: int, seconds: float) -> None:
        self._pixels, self._seconds = pixels, seconds
        self._worker: tuple[BaseProcess, Connection] | None = None

    def decode(self, content: bytes, long_side: int | None = None) -> StillPicture:
        """Decode an image file (`stream.storage.images.decode`). Raises ValueError with the reason."""
        try:
            connection = self._connection()
            connection.send((self._pixels, long_side))
            connection.send_bytes(content)
            if not connection.poll(self._seconds):
                self.close()
                raise ValueError(f"the picture takes longer than {self._seconds:g} s to decode")
            return _answer(connection)
        except (EOFError, ConnectionError):
            self.close()
            raise ValueError("the picture cannot be read: the decoder failed over it") from None

    def close(self) -> None:
        """End the process."""
        if self._worker:
            process, connection = self._worker
            self._worker = None
            process.kill()
            process.join()
            process.close()
            connection.close()

    def _connection(self) -> Connection:
        """To a process that is ready: its start is nobody's picture's fault."""
        if not self._worker:
            context = multiprocessing.get_context("spawn")  # a fork would take the server's threads' locks along
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), name="decoder", daemon=True)
            process.start()
            theirs.close()
            self._worker = process, ours
            assert ours.recv_bytes() == _READY
        return self._worker[1]


def _answer(connection: Connection) -> StillPicture:
    """Bytes, never pickles: those could make this process run what a file made the other one send."""
    said = json.loads(connection.recv_bytes())
    if "crash" in said:
        crash_reports.receive(said["crash"], "process that decodes pictures")
        raise EOFError
    if "fault" in said:
        raise ValueError(said["fault"])
    image = np.frombuffer(connection.recv_bytes(), np.uint8).reshape(said["shape"])
    return StillPicture(image, said["pictures"], said["pixels"])


def _serve(connection: Connection) -> None:
    """What the process does, until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to hear
    _confine()
    connection.send_bytes(_READY)
    # The process may write no file: what is unexpected is the server's to report.
    with (
        crash_reports.Relay(lambda message: connection.send_bytes(json.dumps({"crash": message}).encode())),
        suppress(EOFError),
    ):
        while True:
            pixels, long_side = connection.recv()
            _reply(connection, connection.recv_bytes(), pixels, long_side)


def _reply(connection: Connection, content: bytes, pixels: int, long_side: int | None) -> None:
    try:
        _require_few_scans(content)
        still = decode(io.BytesIO(content), FORMATS, pixels, long_side)
    except (ValueError, MemoryError) as error:
        connection.send_bytes(json.dumps({"fault": str(error) or "the picture needs too much memory"}).encode())
        return
    connection.send_bytes(
        json.dumps({"shape": still.image.shape, "pictures": still.pictures, "pixels": still.pixels}).encode()
    )
    connection.send_bytes(still.image.reshape(-1).data)


def _require_few_scans(content: bytes) -> None:
    """A progressive JPEG goes over all its pixels once for each scan, and thousands fit into a few kilobytes. Raises
    ValueError."""
    if content.startswith(b"\xff\xd8") and sum(1 for _ in islice(_scans(content), SCANS + 1)) > SCANS:
        raise ValueError(f"a JPEG of more than {SCANS} scans")


def _scans(content: bytes) -> Iterator[int]:
    """Where the first picture's scans begin (ITU-T T.81, B.1)."""
    place = 2
    while (marker := _MARKER.search(content, place)) and marker[0] != b"\xff\xd9":
        place = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
        if marker[0] == b"\xff\xda":
            yield marker.start()


def _confine() -> None:
    """No more memory than a picture needs, where the system says how much is taken, and not a byte to the disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if _TAKEN.exists():
        most = int(_TAKEN.read_text("ascii").split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
