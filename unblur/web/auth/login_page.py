"""The login page, and logout."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from aiohttp import hdrs, web

from unblur.web.auth.accounts import Account, normalize_account_name
from unblur.web.auth.login_throttle import PasswordChecker, TooManyTriesError
from unblur.web.auth.sessions import SESSION, Sessions, clear_cookie, read_cookie, set_cookie
from unblur.web.transport.access import current_user
from unblur.web.transport.openapi import Endpoint
from unblur.web.transport.rendering import render
from unblur.web.transport.request_body import read_form
from unblur.web.transport.request_origin import client_address

AuditNote = Callable[[str, str, str], None]
"""Writes an audit entry: who, what, details."""
NOBODY = "nobody"
"""The user in the audit entries of failed logins."""
_LONGEST = 16 * 1024
"""Bytes of a form without authentication: the longest name and password, each byte as %XX."""
LONGEST_NAME = 64
"""Letters of a name that a refused form shows again."""
_LOCAL_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path on this server, in ASCII; excludes what browsers may read as another host: // and backslashes."""


class LoginPage:
    """The login page, and the logout endpoint."""

    name = "login"
    path = None

    def __init__(self, sessions: Sessions, password_checker: PasswordChecker, note: AuditNote) -> None:
        self._sessions, self._password_checker, self._note = sessions, password_checker, note

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/login", self._page),
            web.post("/login", self._sign_in),
            web.post("/logout", self._sign_out),
        ]

    def operations(self) -> list[Endpoint]:
        return []

    async def _page(self, request: web.Request) -> web.Response:
        if current_user(request):
            raise web.HTTPSeeOther(_next(request))
        has_accounts = await asyncio.to_thread(self._sessions.accounts.exist)
        return render(request, "login", fault="" if has_accounts else "nobody", name="")

    async def _sign_in(self, request: web.Request) -> web.Response:
        form = await read_form(request, _LONGEST)
        name, password = form.get("name", ""), form.get("password", "")
        shown_name = name[:LONGEST_NAME]
        try:
            account = await self._password_checker.check(name, password, client_address(request))
        except TooManyTriesError as error:
            answer = render(request, "login", 429, fault="often", name=shown_name, wait_s=error.wait_s)
            answer.headers[hdrs.RETRY_AFTER] = str(error.wait_s)
            return answer
        if account is None:
            await asyncio.to_thread(self._note_failure, name, client_address(request))
            return render(request, "login", 403, fault="wrong", name=shown_name)
        return await self._start_session(request, account)

    async def _start_session(self, request: web.Request, account: Account) -> web.Response:
        """Always create a new session, whatever the browser sent before (against session fixation)."""
        cookie = await asyncio.to_thread(
            self._replace_session, account, read_cookie(request), client_address(request), _browser(request)
        )
        answer = web.Response(status=303, headers={hdrs.LOCATION: _next(request)})
        set_cookie(request, answer, cookie)
        return answer

    def _replace_session(self, account: Account, before: str, where: str, browser: str) -> str:
        if session := self._sessions.find(before):
            self._sessions.end(session.user.name, session.number)
        self._note(account.user.name, "signed in", f"from {where}")
        return self._sessions.create(account, where, browser)

    async def _sign_out(self, request: web.Request) -> web.Response:
        answer = web.Response(status=303, headers={hdrs.LOCATION: "/login"})
        if session := request.get(SESSION):
            await asyncio.to_thread(self._sessions.end, session.user.name, session.number)
            await asyncio.to_thread(self._note, session.user.name, "signed out", "")
        clear_cookie(request, answer)
        return answer

    def _note_failure(self, name: str, where: str) -> None:
        """Record a failed login. What was typed as a name may be a password: only names of accounts are written
        down."""
        account_name = normalize_account_name(name)
        has_account = account_name in {user.name for user in self._sessions.accounts.all()}
        self._note(NOBODY, "failed to sign in", f"{account_name if has_account else 'an unknown name'} from {where}")


def _next(request: web.Request) -> str:
    path = request.query.get("next", "/")
    return path if _LOCAL_PATH.fullmatch(path) else "/"


def _browser(request: web.Request) -> str:
    return request.headers.get(hdrs.USER_AGENT, "")
