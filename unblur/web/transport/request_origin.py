"""Origin of a request: local or not, same origin or not, client address, encryption."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from aiohttp import hdrs, web

_PROXY_HEADERS = (hdrs.FORWARDED, hdrs.X_FORWARDED_FOR, hdrs.X_FORWARDED_HOST, hdrs.X_FORWARDED_PROTO)


def is_local(host: str) -> bool:
    """Whether a Host header, or an address to bind to, means this machine alone."""
    name = host[1 : host.index("]")] if host.startswith("[") and "]" in host else host.rsplit(":", 1)[0]
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(host if host.count(":") > 1 and not host.startswith("[") else name).is_loopback
    except ValueError:
        return False


def is_local_client(request: web.Request) -> bool:
    """Whether the client is on this machine, and no proxy for another."""
    return is_local(request.remote or "") and not any(header in request.headers for header in _PROXY_HEADERS)


def is_same_origin(request: web.Request) -> bool:
    """Whether a page of this server sent the request, or no browser at all.

    Browsers state the origin of a request: all of them in `Origin`, with every method but GET and HEAD, and current
    ones also in `Sec-Fetch-Site`, which no script can set. A request with neither comes from no browser, and so carries
    only its sender's own authority. (The rule of Go's net/http.CrossOriginProtection.)"""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or origin.partition("://")[2] == request.host


def is_encrypted(request: web.Request) -> bool:
    """Whether the browser uses https, to this server or to a proxy; a forged header harms only its sender."""
    return request.secure or request.headers.get(hdrs.X_FORWARDED_PROTO, "").partition(",")[0].strip() == "https"


def client_address(request: web.Request) -> str:
    """The client: an IPv4 address, or an IPv6 network (/64). X-Forwarded-For is trusted only from a proxy on this
    machine."""
    peer = request.remote or ""
    if is_local(peer):
        added = request.headers.getall(hdrs.X_FORWARDED_FOR, [peer])[-1]  # some proxies add a header line
        peer = added.rpartition(",")[2].strip()
    return client_network(peer) or "unknown"


def client_network(peer: str) -> str | None:
    """An IPv4 address, or the IPv6 network (/64), which one household controls as a whole; None if `peer` is no
    address."""
    try:
        parsed = ip_address(peer)
    except ValueError:
        return None
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or (parsed if parsed.is_loopback else ip_network((parsed.packed[:8] + bytes(8), 64))))
