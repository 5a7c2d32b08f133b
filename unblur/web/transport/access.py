"""Access control: roles, the current user of a request, and whether they may do something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

from aiohttp import web

Role = Literal["viewer", "operator"]
"""A viewer may watch and search; an operator may also change people, feedback and accounts."""


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated user."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the user has the permissions of this role."""
        return role == "viewer" or self.role == "operator"


LOCAL = User("local", "operator")
"""The user of this machine, where no other machine can reach the server."""
TOKEN = User("token", "operator")
"""A program, or a page, that sends the configured token."""
UserLookup = Callable[[], User | None]
"""Returns the present user of a session; None if it has ended. Blocks."""
_USER = web.RequestKey("user", User)
_LOOKUP: web.RequestKey[UserLookup] = web.RequestKey("lookup")


def set_current_user(request: web.Request, user: User, lookup: UserLookup | None = None) -> None:
    """Set the user of a request, and, if the session may end, the `lookup` of its present user. For the middleware."""
    request[_USER] = user
    if lookup:
        request[_LOOKUP] = lookup


def current_user(request: web.Request) -> User | None:
    """The user of a request; None if it is not authenticated, and so sees only what is public."""
    return request.get(_USER)


async def is_still_authorized(request: web.Request, role: Role) -> bool:
    """Whether the user of a request is still signed in and has this role's permissions; for long-lived responses."""
    lookup = request.get(_LOOKUP)
    user = await run_auth_lookup(lookup) if lookup else current_user(request)
    return user is not None and user.may(role)


def require_role(request: web.Request, role: Role) -> User:
    """The user of a request. Raises HTTPForbidden if there is none, or they lack this role's permissions."""
    user = current_user(request)
    if user is None or not user.may(role):
        raise web.HTTPForbidden(text="Only operators can do this." if role == "operator" else "sign in first")
    return user


T = TypeVar("T")

_AUTH_EXECUTOR = ThreadPoolExecutor(2, "auth")
"""Separate, so that image work in the default executor cannot block logins."""


async def run_auth_lookup(lookup: Callable[[], T]) -> T:
    """Run a short blocking authentication query on its dedicated executor."""
    return await asyncio.get_running_loop().run_in_executor(_AUTH_EXECUTOR, lookup)
