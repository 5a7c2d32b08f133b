"""What every answer says about itself."""

from __future__ import annotations

from aiohttp import hdrs, web

from unblur.web.transport.path_prefix import locate
from unblur.web.transport.request_origin import is_encrypted

STATIC = "/static/"
"""What everybody may fetch: styles and scripts, with nothing of anybody in them."""
PROBES = frozenset({"/healthz", "/readyz"})
"""What everybody may ask: whether we are well, and nothing of anybody."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " media-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_UNENDING = frozenset({"text/event-stream", "multipart/x-mixed-replace"})
"""Kinds of answers of which a proxy must pass on each part as it comes; nginx keeps them back unless it is told."""
_YEAR_S = 31_536_000
ELSEWHERE = web.RequestKey("elsewhere", bool)
"""Whether a page elsewhere may look, as one may that knows the token."""


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Before an answer's first byte: what a browser must not do with it. Pages are not kept, for whoever signs out
    leaves none behind."""
    response.headers.update(_HEADERS)
    locate(request, response)
    if response.content_type in _UNENDING:
        response.headers["X-Accel-Buffering"] = "no"
    if not request.path.startswith(STATIC):
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    if request.get(ELSEWHERE):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
    if is_encrypted(request):
        response.headers["Strict-Transport-Security"] = f"max-age={_YEAR_S}"
