"""Decoding of untrusted image files in a separate process, which can be killed if it hangs, takes too much memory or
crashes."""

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
"""Formats that browsers and phones send."""
MEMORY = 2 << 30
"""Bytes that the process may allocate after its start: the largest image with transparency took 1.1 GB."""
SCANS = 100
"""Scans of a JPEG at most; encoders make about ten."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""Marker of a segment; within a scan, FF is followed by 00 or by a restart number."""
_READY = b"ready"
_MEMORY_USE = Path("/proc/self/statm")
"""Starts with the number of memory pages in use by this process (Linux)."""


class Decoder:
    """Decodes image files in a child process. Not thread-safe; `close` ends the process.

    A file with more than `pixels` is refused before it is decoded; if one takes longer than `seconds`, the process is
    killed, and the next file gets a new one.
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
            return _receive_image(connection)
        except (EOFError, ConnectionError):
            self.close()
            raise ValueError("the picture cannot be read: the decoder failed over it") from None

    def close(self) -> None:
        """Kill the process."""
        if self._worker:
            process, connection = self._worker
            self._worker = None
            process.kill()
            process.join()
            process.close()
            connection.close()

    def _connection(self) -> Connection:
        """The connection to a process that is ready, so that its start does not count as decoding time."""
        if not self._worker:
            context = multiprocessing.get_context("spawn")  # a fork would copy locks that the server's threads hold
            parent_end, child_end = context.Pipe()
            process = context.Process(target=_serve, args=(child_end,), name="decoder", daemon=True)
            process.start()
            child_end.close()
            self._worker = process, parent_end
            assert parent_end.recv_bytes() == _READY
        return self._worker[1]


def _receive_image(connection: Connection) -> StillPicture:
    """Receive JSON and bytes, never pickles: a compromised child process could send code in them."""
    header = json.loads(connection.recv_bytes())
    if "crash" in header:
        crash_reports.receive(header["crash"], "process that decodes pictures")
        raise EOFError
    if "fault" in header:
        raise ValueError(header["fault"])
    image = np.frombuffer(connection.recv_bytes(), np.uint8).reshape(header["shape"])
    return StillPicture(image, header["pictures"], header["pixels"])


def _serve(connection: Connection) -> None:
    """Main loop of the child process, until the server closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the server handles Ctrl-C
    _limit_resources()
    connection.send_bytes(_READY)
    # This process may not write files, so that the server reports its crashes.
    with (
        crash_reports.Relay(lambda message: connection.send_bytes(json.dumps({"crash": message}).encode())),
        suppress(EOFError),
    ):
        while True:
            pixels, long_side = connection.recv()
            _decode_and_send(connection, connection.recv_bytes(), pixels, long_side)


def _decode_and_send(connection: Connection, content: bytes, pixels: int, long_side: int | None) -> None:
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
    """Refuse a JPEG of too many scans: each scan of a progressive JPEG updates all pixels, and thousands of scans fit
    into a few kilobytes. Raises ValueError."""
    if content.startswith(b"\xff\xd8") and sum(1 for _ in islice(_scan_offsets(content), SCANS + 1)) > SCANS:
        raise ValueError(f"a JPEG of more than {SCANS} scans")


def _scan_offsets(content: bytes) -> Iterator[int]:
    """Yield the offsets of the first image's scans (ITU-T T.81, B.1)."""
    position = 2
    while (marker := _MARKER.search(content, position)) and marker[0] != b"\xff\xd9":
        position = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
        if marker[0] == b"\xff\xda":
            yield marker.start()


def _limit_resources() -> None:
    """Limit the memory of this process, where its present use is known, and forbid writing to the disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if _MEMORY_USE.exists():
        limit = int(_MEMORY_USE.read_text("ascii").split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
