"""Which network an IP address lies in, so that an answer from one cannot lead into another."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

Network = Literal["loopback", "link-local", "metadata", "private", "public", "other"]
Address = IPv4Address | IPv6Address

_METADATA = frozenset(map(ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")))
"""Where clouds give a machine its own credentials."""


def network_of(address: Address) -> Network:
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
