"""HTTP(S) addresses of cameras: one GET, redirects kept within the address's own network, the body as a file.

FFmpeg's own client follows a redirect to any host. Here whatever is asked for on behalf of an address, the segments of
a playlist included, is dialled by `_Dialer`, which knows where the address itself lies.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from functools import partial
from typing import IO, SupportsFloat
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDefaultErrorHandler,
    HTTPDigestAuthHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPPasswordMgr,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from stream.errors import SourceError
from stream.media.ip_networks import Address, Network, network_of, resolve

LATE = "no answer in time"
_SCHEMES = frozenset({"http", "https"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAFE = "%/:=&?~+!$,;'@()*[]|"
_BLOCK = 16
"""Bytes of an AES block."""


class SilentError(SourceError):
    """Nothing more came in time."""


class _RedirectError(OSError):
    """A redirect that leaves the address's own network."""


class _Dialer:
    """Connects to hosts. The first one says which networks may be reached from then on; never where clouds keep
    credentials."""

    def __init__(self) -> None:
        self._networks: frozenset[Network] | None = None

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connection to the host's first address that answers. Raises OSError, _RedirectError."""
        found = resolve(host, port)
        if self._networks is None:
            self._networks = frozenset(map(network_of, found))
        allowed = [address for address in found if network_of(address) in self._networks - {"metadata"}]
        if not allowed:
            raise _RedirectError(f"it leads to another network ({network_of(found[0])}), where it may not lead")
        return _first(allowed, port, timeout_s)


def _first(addresses: list[Address], port: int, timeout_s: float) -> socket.socket:
    for address in addresses[:-1]:
        try:
            return socket.create_connection((str(address), port), timeout_s)
        except OSError:
            continue
    return socket.create_connection((str(addresses[-1]), port), timeout_s)


class _Plain(http.client.HTTPConnection):
    def __init__(self, host: str, timeout: float, dialer: _Dialer) -> None:
        super().__init__(host, timeout=timeout)
        self._dialer = dialer
        self._patience_s = timeout

    def connect(self) -> None:
        self.sock = self._dialer.connect(self.host, self.port, self._patience_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Encrypted(_Plain):
    default_port = 443

    def connect(self) -> None:
        super().connect()
        self.sock = _trusting().wrap_socket(self.sock, server_hostname=self.host)


def _trusting() -> ssl.SSLContext:
    """Cameras sign their certificates themselves: as in FFmpeg, they are not checked."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _PlainHandler(HTTPHandler):
    def __init__(self, dialer: _Dialer) -> None:
        super().__init__()
        self._dialer = dialer

    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Plain, dialer=self._dialer), req)


class _EncryptedHandler(HTTPSHandler):
    def __init__(self, dialer: _Dialer) -> None:
        super().__init__()
        self._dialer = dialer

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Encrypted, dialer=self._dialer), req)


class _Redirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        scheme = urlsplit(newurl).scheme.lower()
        if scheme not in _SCHEMES or (req.type == "https" and scheme == "http"):
            raise _RedirectError(f"it redirects from {req.type} to {scheme}, where it may not lead")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Login(HTTPPasswordMgr):
    """User and password of one host, whatever the realm or port; nobody else is given them."""

    def __init__(self, parts: SplitResult) -> None:
        super().__init__()
        self._host = parts.hostname
        self._login = (unquote(parts.username or ""), unquote(parts.password or ""))

    def find_user_password(self, _realm: str, authuri: str) -> tuple[str | None, str | None]:
        host = urlsplit(authuri if "://" in authuri else f"//{authuri}").hostname
        return self._login if any(self._login) and host == self._host else (None, None)


class HttpClient:
    """Asks one address, and what that leads to. Raises SourceError for an address that is none."""

    def __init__(self, address: str, connect_s: float) -> None:
        try:
            parts = urlsplit(address)
            self.url = _without_login(parts)
        except ValueError:
            raise SourceError("not an address") from None
        self._connect_s = connect_s
        self._login = _Login(parts)
        self._opener = OpenerDirector()
        dialer = _Dialer()
        for handler in (
            _PlainHandler(dialer),
            _EncryptedHandler(dialer),
            _Redirects(),
            HTTPDigestAuthHandler(self._login),
            HTTPBasicAuthHandler(self._login),
            HTTPDefaultErrorHandler(),
            HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    def get(self, patience: SupportsFloat, url: str | None = None, part: tuple[int, int] | None = None) -> HttpStream:
        """The answer to a GET of `url`, by default the address itself, or of its bytes part[0] to part[1] - 1.
        `patience` is asked before each read how many seconds it may take.

        Raises SourceError with the bare reason, in which there is no secret.
        """
        target = urlsplit(url or self.url)
        if target.scheme.lower() not in _SCHEMES:
            raise SourceError(f"it leads to {target.scheme or 'a file'}: where only http and https may be followed")
        request = Request(_without_login(target), headers={"User-Agent": "unblur", "Accept": "*/*"})
        if part:
            request.add_header("Range", f"bytes={part[0]}-{part[1] - 1}")
        try:
            return HttpStream(self._opener.open(request, timeout=self._connect_s), patience)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceError(_reason(error)) from None

    def open_nested(self, patience: SupportsFloat, url: str, options: Mapping[str, str]) -> HttpStream | _Decrypted:
        """What a playlist leads to, decrypted where it is encrypted (HLS: AES-128 in CBC mode). Raises SourceError."""
        encrypted = url.startswith(("crypto+", "crypto:"))
        end = int(options.get("end_offset", 0))
        part = (int(options.get("offset", 0)), end) if end else None
        stream = self.get(patience, url[len("crypto+") :] if encrypted else url, part)
        return _Decrypted(stream, bytes.fromhex(options["key"]), bytes.fromhex(options["iv"])) if encrypted else stream

    def with_login(self, url: str) -> str:
        """`url` as FFmpeg's client takes it: with user and password, if it is of the address's own host."""
        user, password = self._login.find_user_password("", url)
        parts = urlsplit(url)
        if user is None:
            return url
        login = f"{quote(user, safe='')}:{quote(password or '', safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))


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
            raise SourceError(_reason(error)) from None

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


class _Decrypted:
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


def _without_login(parts: SplitResult) -> str:
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, quote(parts.path or "/", _SAFE), quote(parts.query, _SAFE), ""))


def _reason(error: Exception) -> str:
    """What went wrong, without the address."""
    if isinstance(error, HTTPError):
        return _refusal(error.code)
    cause = error.reason if isinstance(error, URLError) else error
    match cause:
        case TimeoutError():
            return LATE
        case _RedirectError():
            return str(cause)
        case OSError(strerror=str() as words):
            return words
        case http.client.HTTPException():
            return "what answers there does not speak HTTP, or hung up"
        case _:
            return f"no answer that can be used ({type(cause).__name__})"


def _refusal(code: int) -> str:
    if code in _REDIRECTS:  # urllib itself follows none to file: and the like
        return "it redirects to what is no web address, where it may not lead"
    return f"Server returned {code} {http.client.responses.get(code, '')}".rstrip()
