"""Security headers of every response."""

from __future__ import annotations

from aiohttp import hdrs, web

from unblur.web.transport.path_prefix import locate
from unblur.web.transport.request_origin import is_encrypted

STATIC = "/static/"
"""Path of the public files: styles and scripts, without personal data."""
PROBES = frozenset({"/healthz", "/readyz"})
"""Public health probes, without personal data."""
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
_STREAMS = frozenset({"text/event-stream", "multipart/x-mixed-replace"})
"""Content types that a proxy must forward without buffering; nginx buffers them unless a header disables it."""
_YEAR_S = 31_536_000
ELSEWHERE = web.RequestKey("elsewhere", bool)
"""Whether pages of other origins may read the response, as pages with the token may."""


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers, before a response's first byte. Pages are not cached, so that none remains after logout."""
    response.headers.update(_HEADERS)
    locate(request, response)
    if response.content_type in _STREAMS:
        response.headers["X-Accel-Buffering"] = "no"
    if not request.path.startswith(STATIC):
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    if request.get(ELSEWHERE):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
    if is_encrypted(request):
        response.headers["Strict-Transport-Security"] = f"max-age={_YEAR_S}"
