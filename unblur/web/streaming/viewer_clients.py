"""Which client watches: a browser is one, however many cameras it shows on however many pages."""

from __future__ import annotations

import re
import secrets

from aiohttp import web

from stream.webrtc.video_encoder import Size
from unblur.web.auth.sessions import LONGEST_S, SESSION
from unblur.web.transport.request_origin import is_encrypted

_MADE = re.compile(r"[\w-]{22}")


def client_of(request: web.Request) -> str | None:
    """Whoever is signed in is known by account and session; anybody else by a cookie that means nothing but which
    browser it is. None for a program that has neither, whose every connection counts."""
    if session := request.get(SESSION):
        return f"{session.user.name} {session.number}"
    marked = request.cookies.get(_name(request), "")
    return marked if _MADE.fullmatch(marked) else None


def mark_browser(request: web.Request, response: web.StreamResponse) -> None:
    """Give a browser that is not known a cookie to know it by. It lets nobody in."""
    if client_of(request) is None:
        cookie, safe = secrets.token_urlsafe(16), is_encrypted(request)
        name, lasting = _name(request), int(LONGEST_S)
        response.set_cookie(name, cookie, max_age=lasting, path="/", httponly=True, samesite="Lax", secure=safe)


def size_of(request: web.Request) -> Size:
    """The size that is asked for (`?size=grid`)."""
    return "grid" if request.query.get("size") == "grid" else "full"


def _name(request: web.Request) -> str:
    return "__Host-unblur-browser" if is_encrypted(request) else "unblur-browser"
