"""The cookie that a browser holds while somebody is signed in."""

from __future__ import annotations

from aiohttp import web

from unblur.web.prefix import prefix
from unblur.web.provenance import is_encrypted
from unblur.web.sessions import LONGEST_S


def held(request: web.Request) -> str:
    """The cookie that came with the request; empty if none did."""
    return request.cookies.get(_name(request), "")


def hand_out(request: web.Request, response: web.StreamResponse, cookie: str) -> None:
    """Not for scripts, nor for requests of other sites that change something. Lax, for links from elsewhere, as in a
    notification, shall find who follows them signed in."""
    response.set_cookie(
        _name(request),
        cookie,
        max_age=int(LONGEST_S),
        path=prefix(request) or "/",
        httponly=True,
        samesite="Lax",
        secure=is_encrypted(request),
    )


def take_back(request: web.Request, response: web.StreamResponse) -> None:
    """The browser forgets it."""
    path = prefix(request) or "/"
    response.del_cookie(_name(request), path=path, secure=is_encrypted(request), httponly=True, samesite="Lax")


def _name(request: web.Request) -> str:
    """Over https one that no unencrypted page can set, nor, without a prefix, another host of the domain (RFC 6265bis,
    4.1.3): with a prefix the path is not `/`, and another application of the host is not sent it."""
    if not is_encrypted(request):
        return "unblur"
    return "__Secure-unblur" if prefix(request) else "__Host-unblur"
