"""Identification of viewer clients: a browser counts as one, however many cameras and pages it shows."""

from __future__ import annotations

import re
import secrets

from aiohttp import web

from stream.webrtc.video_encoder import Size
from unblur.web.auth.sessions import LONGEST_S, SESSION
from unblur.web.transport.request_origin import is_encrypted

_COOKIE = re.compile(r"[\w-]{22}")


def identify_client(request: web.Request) -> str | None:
    """The id of a client: account and session of a signed-in user, otherwise the cookie that identifies the browser.
    None for a program with neither; each of its connections counts separately."""
    if session := request.get(SESSION):
        return f"{session.user.name} {session.number}"
    cookie = request.cookies.get(_cookie_name(request), "")
    return cookie if _COOKIE.fullmatch(cookie) else None


def mark_browser(request: web.Request, response: web.StreamResponse) -> None:
    """Set a cookie that identifies a new browser. It grants no access."""
    if identify_client(request) is None:
        cookie, safe = secrets.token_urlsafe(16), is_encrypted(request)
        name, lifetime_s = _cookie_name(request), int(LONGEST_S)
        response.set_cookie(name, cookie, max_age=lifetime_s, path="/", httponly=True, samesite="Lax", secure=safe)


def requested_size(request: web.Request) -> Size:
    """The requested size (`?size=grid`)."""
    return "grid" if request.query.get("size") == "grid" else "full"


def _cookie_name(request: web.Request) -> str:
    return "__Host-unblur-browser" if is_encrypted(request) else "unblur-browser"
