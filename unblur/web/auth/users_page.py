"""Management of accounts by operators: a page, and REST endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel, Field, SecretStr, ValidationError

from unblur.web.auth.accounts import (
    LONGEST,
    ROLES,
    SHORTEST,
    AccountError,
    Accounts,
    NoAccountError,
    normalize_account_name,
)
from unblur.web.auth.login_page import AuditNote
from unblur.web.transport.access import Role, require_role
from unblur.web.transport.openapi import Endpoint, Nothing, explain
from unblur.web.transport.rendering import render
from unblur.web.transport.request_body import read_form

PATH = "/users"
_NOTHING: Mapping[str, str] = MappingProxyType({})
Sent = TypeVar("Sent", bound=BaseModel)


class UserEntry(BaseModel):
    """An account: its name and role."""

    name: str
    role: Role


class UserList(BaseModel):
    """Every account."""

    users: list[UserEntry]


class Newcomer(BaseModel):
    """A new account."""

    name: str = Field(min_length=1, max_length=64)
    password: SecretStr = Field(min_length=SHORTEST, max_length=LONGEST)
    role: Role = "viewer"


class UserName(BaseModel):
    """The account of this name."""

    name: str


class Users:
    """The page on which operators add accounts, change their roles, and remove them."""

    name = "users"
    path = None

    def __init__(self, accounts: Accounts, note: AuditNote) -> None:
        self._accounts, self._note = accounts, note

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get(PATH, self._page),
            web.post(f"{PATH}/add", self._add_by_form),
            web.post(f"{PATH}/role", self._change_by_form),
            web.get(f"{PATH}/remove", self._ask_to_remove),
            web.post(f"{PATH}/remove", self._remove_by_form),
        ]

    def operations(self) -> list[Endpoint]:
        one = "/users/{name}"
        return [
            Endpoint("GET", "/users", "Every account", self._list, Nothing, UserList, "operator"),
            Endpoint("POST", "/users", "Add an account", self._add, Newcomer, UserEntry, "operator"),
            Endpoint("PATCH", one, "Change an account's role", self._change, UserEntry, UserEntry, "operator"),
            Endpoint("DELETE", one, "Remove an account", self._remove, UserName, Nothing, "operator"),
        ]

    async def _list(self, _: web.Request, __: Nothing) -> UserList:
        users = await asyncio.to_thread(self._accounts.all)
        return UserList(users=[UserEntry(name=user.name, role=user.role) for user in users])

    async def _add(self, request: web.Request, new: Newcomer) -> UserEntry:
        await self._apply_change(
            request,
            lambda: self._accounts.add(new.name, new.password.get_secret_value(), new.role),
            "added an account",
            f"{normalize_account_name(new.name)}, {new.role}",
        )
        return UserEntry(name=normalize_account_name(new.name), role=new.role)

    async def _change(self, request: web.Request, wanted: UserEntry) -> UserEntry:
        name = normalize_account_name(wanted.name)
        details = f"{name}, now {wanted.role}"
        await self._apply_change(request, lambda: self._accounts.set_role(name, wanted.role), "changed a role", details)
        return UserEntry(name=name, role=wanted.role)

    async def _remove(self, request: web.Request, named: UserName) -> Nothing:
        name = normalize_account_name(named.name)
        await self._apply_change(request, lambda: self._accounts.remove(name), "removed an account", name)
        return Nothing()

    async def _apply_change(self, request: web.Request, change: Callable[[], object], what: str, about: str) -> None:
        """Make a change and record it in the audit log. Raises HTTPForbidden, HTTPNotFound, HTTPBadRequest."""
        who = require_role(request, "operator").name
        try:
            await asyncio.to_thread(change)
        except NoAccountError as error:
            raise web.HTTPNotFound(text=str(error)) from error
        except AccountError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        await asyncio.to_thread(self._note, who, what, about)

    async def _page(self, request: web.Request) -> web.Response:
        return await self._render(request)

    async def _render(
        self, request: web.Request, status: int = 200, fault: str = "", new: Mapping[str, str] = _NOTHING
    ) -> web.Response:
        """The page; with a `fault`, the form still holds the account that could not be added (`new`)."""
        require_role(request, "operator")
        users = await asyncio.to_thread(self._accounts.all)
        return render(request, "users", status, users=users, roles=ROLES, fault=fault, shortest=SHORTEST, new=new)

    async def _ask_to_remove(self, request: web.Request) -> web.Response:
        """The page that asks for confirmation: a removal cannot be undone."""
        require_role(request, "operator")
        name = normalize_account_name(request.query.get("name", ""))
        if name not in {user.name for user in await asyncio.to_thread(self._accounts.all)}:
            raise web.HTTPNotFound(text="there is no such account")
        return render(request, "remove_user", name=name)

    async def _add_by_form(self, request: web.Request) -> web.Response:
        return await self._handle_form(request, Newcomer, self._add)

    async def _change_by_form(self, request: web.Request) -> web.Response:
        return await self._handle_form(request, UserEntry, self._change)

    async def _remove_by_form(self, request: web.Request) -> web.Response:
        return await self._handle_form(request, UserName, self._remove)

    async def _handle_form(
        self, request: web.Request, model: type[Sent], change: Callable[[web.Request, Sent], Awaitable[object]]
    ) -> web.Response:
        require_role(request, "operator")
        sent = await read_form(request)
        new = sent if model is Newcomer else _NOTHING
        try:
            await change(request, model.model_validate(sent))
        except ValidationError as error:
            return await self._render(request, 400, explain(error), new)
        except (web.HTTPBadRequest, web.HTTPNotFound) as error:
            return await self._render(request, error.status, error.text or "", new)
        return web.Response(status=303, headers={hdrs.LOCATION: PATH})
