"""HTTP(S) addresses of cameras: one GET, redirects kept within the address's own network, the body as a file.

FFmpeg's own client follows a redirect to any host. Here whatever is asked for on behalf of an address, the segments of
a playlist included, is dialled by `_Dialer`, which knows where the address itself lies.
"""

from __future__ import annotations

import http.client
from typing import SupportsFloat
from urllib.error import HTTPError, URLError

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from stream.errors import SourceError

_BLOCK = 16
"""Bytes of an AES block."""


class HttpStream:
    """The body of an answer, as a file that can only be read on. `size` is None where the answer does not state it."""

    def __init__(self, response: http.client.HTTPResponse, patience: SupportsFloat) -> None:
        self._response = response
        self._patience = patience
        self.url = response.geturl()
        self.name = self.url
        self.content_type = response.headers.get_content_type()
        self.size = response.length
        self._ahead = b""

    def read(self, size: int) -> bytes:
        """What has come, at most `size` bytes; waits for the first of them. Raises SourceError, SilentError."""
        if self._ahead:
            part, self._ahead = self._ahead[:size], self._ahead[size:]
            return part
        try:
            self._wait_at_most(float(self._patience))
            return self._response.read1(size)
        except TimeoutError:
            raise SilentError(LATE) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceError(describe_error(error)) from None

    def peek(self, size: int) -> bytes:
        """The first bytes, up to `size`, which `read` will give once more. Raises SourceError."""
        while len(self._ahead) < size:
            ahead, self._ahead = self._ahead, b""
            more = self.read(size)
            self._ahead = ahead + more
            if not more:
                break
        return self._ahead[:size]

    def _wait_at_most(self, seconds: float) -> None:
        raw = getattr(self._response.fp, "raw", None)  # None once all has been read
        if raw is not None:
            raw._sock.settimeout(seconds)

    def close(self) -> None:
        self._response.close()

    def __enter__(self) -> HttpStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DecryptedStream:
    """A body decrypted on the way: AES in CBC mode, padded as PKCS#7 says."""

    def __init__(self, stream: HttpStream, key: bytes, iv: bytes) -> None:
        self._stream = stream
        self._decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        self._last = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        while not self._ended:
            encrypted = self._stream.read(max(size - _BLOCK, 1))
            clear = self._last + self._decryptor.update(encrypted)
            self._ended = not encrypted
            # The last block is held back: only the end tells how much of it is padding.
            self._last = clear[-_BLOCK:]
            ready = clear[:-_BLOCK] if encrypted else clear[: len(clear) - clear[-1]] if clear else b""
            if ready:
                return ready
        return b""

    def close(self) -> None:
        self._stream.close()


LATE = "no answer in time"


class SilentError(SourceError):
    """Nothing more came in time."""


class RedirectError(OSError):
    """A redirect that leaves the address's own network."""


def describe_error(error: Exception) -> str:
    """What went wrong, without the address."""
    if isinstance(error, HTTPError):
        return _describe_status(error.code)
    cause = error.reason if isinstance(error, URLError) else error
    match cause:
        case TimeoutError():
            return LATE
        case RedirectError():
            return str(cause)
        case OSError(strerror=str() as words):
            return words
        case http.client.HTTPException():
            return "what answers there does not speak HTTP, or hung up"
        case _:
            return f"no answer that can be used ({type(cause).__name__})"


def _describe_status(code: int) -> str:
    if code in _REDIRECTS:  # urllib itself follows none to file: and the like
        return "it redirects to what is no web address, where it may not lead"
    return f"Server returned {code} {http.client.responses.get(code, '')}".rstrip()


_REDIRECTS = frozenset({301, 302, 303, 307, 308})
