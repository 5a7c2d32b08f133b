"""Requests over bare sockets: trickled, broken off, ambiguous."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack
from urllib.parse import urlsplit

WITHIN_S = 30.0
FORM = "application/x-www-form-urlencoded"


def connected(address: str, stack: ExitStack) -> socket.socket:
    """A connection to the server at this address, closed with the stack."""
    where = urlsplit(address)
    assert where.hostname
    assert where.port
    return stack.enter_context(socket.create_connection((where.hostname, where.port), WITHIN_S))


def head(method: str, path: str, *, content_type: str = FORM, length: int | None = None, **headers: str) -> bytes:
    """A request's head; with a length of None its body comes in chunks."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}"]
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(connection: socket.socket) -> str:
    """What comes until the connection ends, or one whole head and what came with it."""
    said = b""
    while b"\r\n\r\n" not in said and (more := connection.recv(65536)):
        said += more
    return said.decode()


def reset(connection: socket.socket) -> None:
    """End a connection as a crash does, by RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
