"""Who may ask: whoever bears the token or is signed in, and where there is neither token nor account, only this
machine's own pages.

A browser sends a cookie with whatever request any page makes, and lets any page on this machine reach us. So what
changes something must show that a page of ours sent it (cross-site request forgery):

- Under a cookie it must bear a token that is an HMAC of this session, and that only this session's own pages were told.
- Where nobody signs in, there is no session to bind a token to, and a cookie of its own would prove no more than the
  browser's word does: `provenance.is_ours`. That is sound here because every browser gives it, and what asks
  without it is a program on this machine, which could change our files as well. Names that only pretend to be ours (DNS
  rebinding) are refused by their Host header.
- A bearer token is sent by no browser of its own accord, and so needs nothing more.

The sign-in itself has no session yet: it must be ours by the browser's word, lest a page sign somebody in as another.
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
from unblur.web.transport.connection_limits import has_place
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
_ASKING_FOR_TOKEN = {"/", "/send"}
"""Pages that say nothing but that they want the token, which only a script can send."""
_BODIES = 8, 64
"""Bodies under way of one client that is not signed in, and of all of them."""
_KEPT = (hdrs.ALLOW, hdrs.LOCATION, hdrs.RETRY_AFTER)
"""What an answer that was raised says in its headers."""


def auth_middleware(token: str | None, sessions: Sessions | None = None) -> Middleware:
    """Lets through whoever bears the `token`, or is signed in."""

    bodies = ConcurrencyLimiter(
        *_BODIES, "too many requests with a body arrive from clients that are not signed in: try again in a moment"
    )

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[ELSEWHERE] = token is not None
        try:
            return await _answer(request, partial(_handle, handler, bodies), token, sessions)
        except ConnectionError:
            if request.transport:
                raise
            return web.Response(status=400)  # whoever asked is gone, and nobody is told

    return guarded


async def _handle(handler: Handler, bodies: ConcurrencyLimiter, request: web.Request) -> web.StreamResponse:
    """Whoever is not known must not keep others out: neither by connections, nor by bodies that never end."""
    is_known = current_user(request) is not None
    if not has_place(request, is_known):
        raise unavailable("too many connections at once: try again in a moment")
    with nullcontext() if is_known or not request.body_exists else bodies.admit(client_address(request)):
        return await handler(request)


async def _answer(
    request: web.Request, handler: Handler, token: str | None, sessions: Sessions | None
) -> web.StreamResponse:
    try:
        with map_database_errors():
            await _admit(request, token, sessions)
            return await handler(request)
    except web.HTTPUnauthorized as error:
        if sessions and _is_for_people(request):
            return _to_the_login(request)
        return _refused(error)
    except web.HTTPRedirection as error:
        return web.Response(status=error.status, headers=_kept(error))
    except web.HTTPException as error:
        if sessions and _is_for_people(request):
            page = render(request, "error", error.status, said=_said(error))
            page.headers.update(_kept(error))
            return page
        return _refused(error)


async def _admit(request: web.Request, token: str | None, sessions: Sessions | None) -> None:
    """Note who asks. Raises HTTPUnauthorized, HTTPForbidden."""
    if token is not None and _bears(request, token):
        set_current_user(request, TOKEN)
    elif sessions and _is_everybodys(request):
        return  # whatever the database is at
    elif sessions and (session := await run_auth_lookup(partial(sessions.find, read_cookie(request)))):
        await _require_page_of(session, request, sessions)
        request[SESSION], request[CSRF] = session, session.csrf
        set_current_user(request, session.user, partial(sessions.user_of, read_cookie(request)))
    elif sessions is not None and await run_auth_lookup(sessions.accounts.exist):
        _require_open(request, {LOGIN})
    elif token is not None:
        _require_open(request, {LOGIN, *_ASKING_FOR_TOKEN} if sessions else _ASKING_FOR_TOKEN)
    else:
        _require_local(request)
        set_current_user(request, LOCAL, partial(_local, sessions))


def _local(sessions: Sessions | None) -> User | None:
    """Whoever sits here, until there is an account. Blocks."""
    return None if sessions and sessions.accounts.exist() else LOCAL


async def _require_page_of(session: Session, request: web.Request, sessions: Sessions) -> None:
    _require_ours(request)
    if request.method in _SAFE or request.path == LOGIN:
        return
    borne = request.headers.get(CSRF_HEADER) or (await read_form(request)).get(CSRF_FIELD, "")
    if not sessions.check_csrf_token(session, borne):
        raise web.HTTPForbidden(text="this was not sent by a page of yours: open it again, and try once more")


def _require_open(request: web.Request, pages: set[str]) -> None:
    """What somebody may have who is not signed in. Preflight requests cannot bear anything, and those within a peer
    connection's session bear its id, which is a secret of its own."""
    if request.path == LOGIN:
        _require_ours(request)
    is_free = _is_everybodys(request) or request.method == hdrs.METH_OPTIONS or _is_within_session(request)
    if not (is_free or request.path in pages):
        raise web.HTTPUnauthorized(text="sign in first; a program sends the token, as Authorization: Bearer TOKEN")


def _is_everybodys(request: web.Request) -> bool:
    """Whether it is for a file or a probe, which tell nothing of anybody."""
    return request.method in _SAFE and (request.path.startswith(STATIC) or request.path in PROBES)


def _require_local(request: web.Request) -> None:
    if not is_local(request.host):
        raise web.HTTPForbidden(
            text=f"{request.host} is not a name of this machine: set web.token, or add an account, to be reached by it"
        )
    if not is_local_client(request):
        raise web.HTTPForbidden(text="others can reach this through a proxy: set web.token, or add an account")
    _require_ours(request)


def _require_ours(request: web.Request) -> None:
    if request.method not in _SAFE and not is_same_origin(request):
        raise web.HTTPForbidden(text="this was not sent by a page of ours")


def _is_for_people(request: web.Request) -> bool:
    """Whether a browser asks for a page; programs ask for anything, or for something else."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "") and not request.path.startswith(ROOT)


def _to_the_login(request: web.Request) -> web.Response:
    back = f"?next={quote(request.rel_url.raw_path_qs, safe='/')}" if request.method in _SAFE else ""
    return web.Response(status=303, headers={hdrs.LOCATION: LOGIN + back})


def _refused(error: web.HTTPException) -> web.Response:
    refused = error_response(error.status, error.text or error.reason)
    refused.headers.update(_kept(error))
    if isinstance(error, web.HTTPUnauthorized):
        refused.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="unblur"'
    return refused


def _said(error: web.HTTPException) -> str:
    """Where nobody gave a reason, aiohttp's own is none to people."""
    unsaid = error.status == web.HTTPNotFound.status_code and error.text == f"{error.status}: {error.reason}"
    missing: str = texts()["error"]["missing"]
    return missing if unsaid else error.text or error.reason


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {name: error.headers[name] for name in _KEPT if name in error.headers}


def _bears(request: web.Request, token: str) -> bool:
    borne = request.headers.get(hdrs.AUTHORIZATION, "").removeprefix("Bearer ")
    return hmac.compare_digest(borne.encode(errors="surrogateescape"), token.encode())


def _is_within_session(request: web.Request) -> bool:
    """Whether it asks within a session, by its id, which is a secret of its own."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical in _SESSION_PATHS
