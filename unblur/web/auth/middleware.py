"""Authentication and CSRF middleware: admits requests with the token or a session, and where there is neither token nor
account, only requests from this machine's own pages.

A browser sends a cookie with the requests of any page, and lets any page on this machine reach the server. So requests
that change something must prove that a page of this server sent them (cross-site request forgery):

- With a session cookie, a request must carry a token that is an HMAC of the session; only the session's pages know it.
- Without login there is no session to bind a token to, and a separate cookie would prove no more than the browser's
  headers do (`request_origin.is_same_origin`). They are sufficient here because every browser sends them; a client
  without them is a program on this machine, which could change the files as well. Foreign host names that resolve to
  this machine (DNS rebinding) are refused by the Host header.
- A bearer token is never sent by a browser automatically, and so needs no further proof.

The login itself has no session yet: it must have the same origin, so that no other site can sign a user in as someone
else (login CSRF).
"""

from __future__ import annotations

import hmac
from contextlib import nullcontext
from functools import partial
from urllib.parse import quote

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from unblur.web.auth.sessions import SESSION, Session, Sessions, read_cookie
from unblur.web.transport.access import LOCAL, TOKEN, User, current_user, run_auth_lookup, set_current_user
from unblur.web.transport.connection_limits import admit_request
from unblur.web.transport.errors import error_response, map_database_errors, unavailable
from unblur.web.transport.openapi import ROOT
from unblur.web.transport.rendering import CSRF, render, texts
from unblur.web.transport.request_body import read_form
from unblur.web.transport.request_limits import ConcurrencyLimiter
from unblur.web.transport.request_origin import client_address, is_local, is_local_client, is_same_origin
from unblur.web.transport.security_headers import ELSEWHERE, PROBES, STATIC

LOGIN = "/login"
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"
_SESSION_PATHS = frozenset(f"/{{camera}}/{kind}/{{session}}" for kind in ("whep", "whip"))
_SAFE = {hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS}
_TOKEN_PAGES = {"/", "/send"}
"""Pages that show nothing but a request for the token, which only a script can send."""
_BODIES = 8, 64
"""Concurrent request bodies of one client that is not signed in, and of all such clients."""
_KEPT_HEADERS = (hdrs.ALLOW, hdrs.LOCATION, hdrs.RETRY_AFTER)
"""Headers of a raised HTTP exception that are kept in the response."""


def auth_middleware(token: str | None, sessions: Sessions | None = None) -> Middleware:
    """Middleware that admits requests with the `token`, or of a signed-in user."""
    bodies = ConcurrencyLimiter(
        *_BODIES, "too many requests with a body arrive from clients that are not signed in: try again in a moment"
    )

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[ELSEWHERE] = token is not None
        try:
            return await _handle_errors(request, partial(_limit_unauthenticated, handler, bodies), token, sessions)
        except ConnectionError:
            if request.transport:
                raise
            return web.Response(status=400)  # the client is gone: nobody receives this response

    return authenticate


async def _limit_unauthenticated(
    handler: Handler, bodies: ConcurrencyLimiter, request: web.Request
) -> web.StreamResponse:
    """Handle a request; clients that are not signed in are limited in connections and in request bodies under way, so
    that they cannot block others."""
    is_known = current_user(request) is not None
    if not admit_request(request, is_known):
        raise unavailable("too many connections at once: try again in a moment")
    with nullcontext() if is_known or not request.body_exists else bodies.admit(client_address(request)):
        return await handler(request)


async def _handle_errors(
    request: web.Request, handler: Handler, token: str | None, sessions: Sessions | None
) -> web.StreamResponse:
    """Authenticate and handle a request; HTTP exceptions become a page for browsers, and JSON for programs."""
    try:
        with map_database_errors():
            await _authenticate(request, token, sessions)
            return await handler(request)
    except web.HTTPUnauthorized as error:
        if sessions and _wants_page(request):
            return _redirect_to_login(request)
        return _json_error(error)
    except web.HTTPRedirection as error:
        return web.Response(status=error.status, headers=_kept_headers(error))
    except web.HTTPException as error:
        if sessions and _wants_page(request):
            page = render(request, "error", error.status, said=_error_text(error))
            page.headers.update(_kept_headers(error))
            return page
        return _json_error(error)


async def _authenticate(request: web.Request, token: str | None, sessions: Sessions | None) -> None:
    """Set the current user of a request. Raises HTTPUnauthorized, HTTPForbidden."""
    if token is not None and _has_token(request, token):
        set_current_user(request, TOKEN)
    elif sessions and _is_public(request):
        return  # must work even if the database does not
    elif sessions and (session := await run_auth_lookup(partial(sessions.find, read_cookie(request)))):
        await _require_csrf_token(session, request, sessions)
        request[SESSION], request[CSRF] = session, session.csrf
        set_current_user(request, session.user, partial(sessions.user_of, read_cookie(request)))
    elif sessions is not None and await run_auth_lookup(sessions.accounts.exist):
        _require_public(request, {LOGIN})
    elif token is not None:
        _require_public(request, {LOGIN, *_TOKEN_PAGES} if sessions else _TOKEN_PAGES)
    else:
        _require_local(request)
        set_current_user(request, LOCAL, partial(_local_user, sessions))


def _local_user(sessions: Sessions | None) -> User | None:
    """The local user, as long as there is no account. Blocks."""
    return None if sessions and sessions.accounts.exist() else LOCAL


async def _require_csrf_token(session: Session, request: web.Request, sessions: Sessions) -> None:
    """Raises HTTPForbidden if a request that changes something lacks the session's CSRF token."""
    _require_same_origin(request)
    if request.method in _SAFE or request.path == LOGIN:
        return
    sent = request.headers.get(CSRF_HEADER) or (await read_form(request)).get(CSRF_FIELD, "")
    if not sessions.check_csrf_token(session, sent):
        raise web.HTTPForbidden(text="this was not sent by a page of yours: open it again, and try once more")


def _require_public(request: web.Request, pages: set[str]) -> None:
    """Let a client that is not signed in request only `pages` and what is public. Preflight requests cannot carry
    credentials, and requests within a WebRTC session carry its id, which is a secret. Raises HTTPUnauthorized."""
    if request.path == LOGIN:
        _require_same_origin(request)
    is_free = _is_public(request) or request.method == hdrs.METH_OPTIONS or _is_within_session(request)
    if not (is_free or request.path in pages):
        raise web.HTTPUnauthorized(text="sign in first; a program sends the token, as Authorization: Bearer TOKEN")


def _is_public(request: web.Request) -> bool:
    """Whether a static file or a probe is requested, which contain no personal data."""
    return request.method in _SAFE and (request.path.startswith(STATIC) or request.path in PROBES)


def _require_local(request: web.Request) -> None:
    if not is_local(request.host):
        raise web.HTTPForbidden(
            text=f"{request.host} is not a name of this machine: set web.token, or add an account, to be reached by it"
        )
    if not is_local_client(request):
        raise web.HTTPForbidden(text="others can reach this through a proxy: set web.token, or add an account")
    _require_same_origin(request)


def _require_same_origin(request: web.Request) -> None:
    if request.method not in _SAFE and not is_same_origin(request):
        raise web.HTTPForbidden(text="this was not sent by a page of ours")


def _wants_page(request: web.Request) -> bool:
    """Whether a browser requests a page; programs accept anything, or other types."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "") and not request.path.startswith(ROOT)


def _redirect_to_login(request: web.Request) -> web.Response:
    back = f"?next={quote(request.rel_url.raw_path_qs, safe='/')}" if request.method in _SAFE else ""
    return web.Response(status=303, headers={hdrs.LOCATION: LOGIN + back})


def _json_error(error: web.HTTPException) -> web.Response:
    response = error_response(error.status, error.text or error.reason)
    response.headers.update(_kept_headers(error))
    if isinstance(error, web.HTTPUnauthorized):
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="unblur"'
    return response


def _error_text(error: web.HTTPException) -> str:
    """The text of an error page; aiohttp's default for an unknown path is replaced by a readable one."""
    has_default_text = error.status == web.HTTPNotFound.status_code and error.text == f"{error.status}: {error.reason}"
    missing: str = texts()["error"]["missing"]
    return missing if has_default_text else error.text or error.reason


def _kept_headers(error: web.HTTPException) -> dict[str, str]:
    return {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}


def _has_token(request: web.Request, token: str) -> bool:
    sent = request.headers.get(hdrs.AUTHORIZATION, "").removeprefix("Bearer ")
    return hmac.compare_digest(sent.encode(errors="surrogateescape"), token.encode())


def _is_within_session(request: web.Request) -> bool:
    """Whether the request is for a WebRTC session, by its id, which is a secret."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in _SESSION_PATHS
