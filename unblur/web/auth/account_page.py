"""The page of the signed-in user's own account: password and sessions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from aiohttp import hdrs, web

from unblur.web.auth.accounts import SHORTEST, AccountError
from unblur.web.auth.login_page import AuditNote
from unblur.web.auth.login_throttle import PasswordChecker, TooManyTriesError
from unblur.web.auth.sessions import SESSION, Session, Sessions, set_cookie
from unblur.web.transport.openapi import Endpoint
from unblur.web.transport.rendering import render
from unblur.web.transport.request_body import read_form
from unblur.web.transport.request_origin import client_address

PATH = "/account"


class OwnAccount:
    """The page on which users change their own password and end their sessions."""

    name = "account"
    path = PATH

    def __init__(self, sessions: Sessions, password_checker: PasswordChecker, note: AuditNote) -> None:
        self._sessions, self._password_checker, self._note = sessions, password_checker, note

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get(PATH, self._page),
            web.post(f"{PATH}/password", self._change_password),
            web.post(f"{PATH}/sessions", self._end_session),
        ]

    def operations(self) -> list[Endpoint]:
        return []

    async def _page(self, request: web.Request) -> web.Response:
        return await self._render(request, said="changed" if "changed" in request.query else "")

    async def _render(self, request: web.Request, status: int = 200, said: str = "", fault: str = "") -> web.Response:
        own = request.get(SESSION)
        sessions = await asyncio.to_thread(self._sessions.of, own.user.name) if own else []
        rows = [(each, _to_utc(each.began_s), _to_utc(each.used_s)) for each in sessions]
        return render(request, "account", status, own=own, sessions=rows, said=said, fault=fault, shortest=SHORTEST)

    async def _change_password(self, request: web.Request) -> web.Response:
        own, form = _own(request), await read_form(request)
        new = form.get("new", "")
        if new != form.get("again", ""):
            return await self._render(request, 400, fault="the new password was typed in two ways")
        try:
            if not await self._password_checker.check(own.user.name, form.get("password", ""), client_address(request)):
                return await self._render(request, 403, fault="that is not your password")
            await asyncio.to_thread(self._sessions.accounts.set_password, own.user.name, new)
        except TooManyTriesError as error:
            refused = await self._render(request, 429, fault=str(error))
            refused.headers[hdrs.RETRY_AFTER] = str(error.wait_s)
            return refused
        except AccountError as error:
            return await self._render(request, 400, fault=str(error))
        return await self._renew_session(request, own, new)

    async def _renew_session(self, request: web.Request, own: Session, password: str) -> web.Response:
        """Sign in again after a change of password, which has ended all sessions of the account, this one included."""
        await asyncio.to_thread(self._note, own.user.name, "changed the password", "their own")
        account = await asyncio.to_thread(self._sessions.accounts.check, own.user.name, password)
        answer = web.Response(status=303, headers={hdrs.LOCATION: f"{PATH}?changed"})
        if account:  # None if the password was changed again meanwhile
            cookie = await asyncio.to_thread(self._sessions.create, account, client_address(request), own.browser)
            set_cookie(request, answer, cookie)
        return answer

    async def _end_session(self, request: web.Request) -> web.Response:
        own, number = _own(request), (await read_form(request)).get("number", "")
        sessions = {str(each.number): each for each in await asyncio.to_thread(self._sessions.of, own.user.name)}
        if number not in sessions:
            raise web.HTTPNotFound(text="there is no such session")
        await asyncio.to_thread(self._sessions.end, own.user.name, sessions[number].number)
        await asyncio.to_thread(self._note, own.user.name, "ended a session", f"from {sessions[number].address}")
        return web.Response(status=303, headers={hdrs.LOCATION: PATH})


def _own(request: web.Request) -> Session:
    own: Session | None = request.get(SESSION)
    if own is None:
        raise web.HTTPForbidden(text="you have no account")
    return own


def _to_utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
