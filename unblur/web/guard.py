"""Who may ask: the right token where one is set, and where none is, only this machine's own pages."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from unblur.web.application import STATIC
from unblur.web.signalling import refusal
from unblur.web.user import LOCAL, admit

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " media-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def guard(token: str | None) -> Middleware:
    """Lets through whoever bears the `token`. Without one, other sites' pages are kept out, which a browser on this
    machine would otherwise let look at the cameras: by their origin, and by names that only pretend to be ours."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answer(request, handler, token)
        response.headers.update(_HEADERS)
        if token is not None:  # a page elsewhere that knows the token may look, as with any other client
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
        return response

    return guarded


async def _answer(request: web.Request, handler: Handler, token: str | None) -> web.StreamResponse:
    if token is None and not is_local(request.host):
        return refusal(403, f"{request.host} is not a name of this machine: set web.token to be reached by it")
    if token is not None and not _bears(request, token):
        refused = refusal(401, "a token is needed, as Authorization: Bearer TOKEN")
        refused.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="unblur"'
        return refused
    admit(request, LOCAL)
    try:
        return await handler(request)
    except web.HTTPException as error:
        refused = refusal(error.status, error.text or error.reason)
        if allowed := error.headers.get(hdrs.ALLOW):
            refused.headers[hdrs.ALLOW] = allowed
        return refused


def is_local(host: str) -> bool:
    """Whether a Host header, or an address to bind to, means this machine alone."""
    name = host[1 : host.index("]")] if host.startswith("[") and "]" in host else host.rsplit(":", 1)[0]
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(host if host.count(":") > 1 and not host.startswith("[") else name).is_loopback
    except ValueError:
        return False


def _bears(request: web.Request, token: str) -> bool:
    """Preflight requests bear none, nor do those within a session, whose id is a secret of its own."""
    if request.method == hdrs.METH_OPTIONS or request.path == "/" or request.path.startswith(STATIC):
        return True
    if "session" in request.match_info:
        return True
    borne = request.headers.get(hdrs.AUTHORIZATION, "").removeprefix("Bearer ")
    return hmac.compare_digest(borne.encode(), token.encode())
