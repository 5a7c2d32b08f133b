"""Who is asking, and what they may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

from aiohttp import web

Role = Literal["viewer", "operator"]
"""A viewer looks; an operator also changes: people, feedback, accounts."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who was let in."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether they may do what this role may."""
        return role == "viewer" or self.role == "operator"


LOCAL = User("local", "operator")
"""Whoever sits at this machine, where nobody else can reach the server."""
TOKEN = User("token", "operator")
"""A program, or a page, that bears the configuration's token."""
UserLookup = Callable[[], User | None]
"""Who somebody who was let in is at this moment; None once they are out. Blocks."""
_USER = web.RequestKey("user", User)
_STILL: web.RequestKey[UserLookup] = web.RequestKey("still")


def set_current_user(request: web.Request, user: User, still: UserLookup | None = None) -> None:
    """Note who asks, and, if they were not let in for good, how to know whether they may stay. For the guard."""
    request[_USER] = user
    if still:
        request[_STILL] = still


def current_user(request: web.Request) -> User | None:
    """Who asks; None for somebody who was not let in, who sees what everybody may."""
    return request.get(_USER)


async def is_still_authorized(request: web.Request, role: Role) -> bool:
    """Whether whoever asked is still let in, and may still do what this role may: for answers that go on and on."""
    still = request.get(_STILL)
    user = await run_auth_lookup(still) if still else current_user(request)
    return user is not None and user.may(role)


def require_role(request: web.Request, role: Role) -> User:
    """Who asks. Raises HTTPForbidden if that is nobody, or they may not do what this role may."""
    user = current_user(request)
    if user is None or not user.may(role):
        raise web.HTTPForbidden(text="Only operators can do this." if role == "operator" else "sign in first")
    return user


T = TypeVar("T")

_CLERKS = ThreadPoolExecutor(2, "desk")


async def run_auth_lookup(question: Callable[[], T]) -> T:
    """The answer to a question that blocks, but not for long."""
    return await asyncio.get_running_loop().run_in_executor(_CLERKS, question)
