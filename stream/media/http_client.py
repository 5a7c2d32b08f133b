"""An HTTP(S) client for camera addresses: redirects stay within the network of the address."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import IO, Literal, SupportsFloat
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

from stream.errors import SourceError
from stream.media.http_stream import DecryptedStream, HttpStream, RedirectError, describe_error

_SCHEMES = frozenset({"http", "https"})


_SAFE = "%/:=&?~+!$,;'@()*[]|"


class Dialer:
    """Connects to hosts. Only networks of the first host are allowed from then on, and never the metadata addresses of
    clouds, which hold credentials."""

    def __init__(self) -> None:
        self._networks: frozenset[IpNetwork] | None = None

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connection to the host's first address that answers. Raises OSError, _RedirectError."""
        found = resolve(host, port)
        if self._networks is None:
            self._networks = frozenset(map(network_of, found))
        allowed = [address for address in found if network_of(address) in self._networks - {"metadata"}]
        if not allowed:
            raise RedirectError(f"it leads to another network ({network_of(found[0])}), where it may not lead")
        return _first(allowed, port, timeout_s)


def _first(addresses: list[Address], port: int, timeout_s: float) -> socket.socket:
    for address in addresses[:-1]:
        try:
            return socket.create_connection((str(address), port), timeout_s)
        except OSError:
            continue
    return socket.create_connection((str(addresses[-1]), port), timeout_s)


class PlainConnection(http.client.HTTPConnection):
    def __init__(self, host: str, timeout: float, dialer: Dialer) -> None:
        super().__init__(host, timeout=timeout)
        self._dialer = dialer
        self._patience_s = timeout

    def connect(self) -> None:
        self.sock = self._dialer.connect(self.host, self.port, self._patience_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class EncryptedConnection(PlainConnection):
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


class PlainHandler(HTTPHandler):
    def __init__(self, dialer: Dialer) -> None:
        super().__init__()
        self._dialer = dialer

    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(partial(PlainConnection, dialer=self._dialer), req)


class EncryptedHandler(HTTPSHandler):
    def __init__(self, dialer: Dialer) -> None:
        super().__init__()
        self._dialer = dialer

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self.do_open(partial(EncryptedConnection, dialer=self._dialer), req)


class RedirectHandler(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        scheme = urlsplit(newurl).scheme.lower()
        if scheme not in _SCHEMES or (req.type == "https" and scheme == "http"):
            raise RedirectError(f"it redirects from {req.type} to {scheme}, where it may not lead")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class LoginManager(HTTPPasswordMgr):
    """User and password of one host, for any realm or port; never sent to other hosts."""

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
        self._login = LoginManager(parts)
        self._opener = OpenerDirector()
        dialer = Dialer()
        for handler in (
            PlainHandler(dialer),
            EncryptedHandler(dialer),
            RedirectHandler(),
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
            raise SourceError(describe_error(error)) from None

    def open_nested(
        self, patience: SupportsFloat, url: str, options: Mapping[str, str]
    ) -> HttpStream | DecryptedStream:
        """What a playlist leads to, decrypted where it is encrypted (HLS: AES-128 in CBC mode). Raises SourceError."""
        encrypted = url.startswith(("crypto+", "crypto:"))
        end = int(options.get("end_offset", 0))
        part = (int(options.get("offset", 0)), end) if end else None
        stream = self.get(patience, url[len("crypto+") :] if encrypted else url, part)
        return (
            DecryptedStream(stream, bytes.fromhex(options["key"]), bytes.fromhex(options["iv"]))
            if encrypted
            else stream
        )

    def with_login(self, url: str) -> str:
        """`url` as FFmpeg's client takes it: with user and password, if it is of the address's own host."""
        user, password = self._login.find_user_password("", url)
        parts = urlsplit(url)
        if user is None:
            return url
        login = f"{quote(user, safe='')}:{quote(password or '', safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))


def _without_login(parts: SplitResult) -> str:
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, quote(parts.path or "/", _SAFE), quote(parts.query, _SAFE), ""))


IpNetwork = Literal["loopback", "link-local", "metadata", "private", "public", "other"]

Address = IPv4Address | IPv6Address

_METADATA = frozenset(map(ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")))
"""Where clouds give a machine its own credentials."""


def network_of(address: Address) -> IpNetwork:
    """The network of an address. One that wraps an IPv4 address (mapped, 6to4) lies where that one lies."""
    if isinstance(address, IPv6Address) and (inner := address.ipv4_mapped or address.sixtofour):
        return network_of(inner)
    if address in _METADATA:
        return "metadata"
    if address.is_loopback or address.is_unspecified:  # Linux connects 0.0.0.0 to itself
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "other"
    return "public" if address.is_global else "private"


def resolve(host: str, port: int) -> list[Address]:
    """The IP addresses of a host, in the order in which they are to be tried. Raises OSError if there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # The zone of a link-local address ("%eth0") is of no account here.
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
