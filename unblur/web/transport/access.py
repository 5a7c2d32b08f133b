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
Still = Callable[[], User | None]
"""Who somebody who was let in is at this moment; None once they are out. Blocks."""
_USER = web.RequestKey("user", User)
_STILL: web.RequestKey[Still] = web.RequestKey("still")


def admit(request: web.Request, user: User, still: Still | None = None) -> None:
    """Note who asks, and, if they were not let in for good, how to know whether they may stay. For the guard."""
    request[_USER] = user
    if still:
        request[_STILL] = still


def asking(request: web.Request) -> User | None:
    """Who asks; None for somebody who was not let in, who sees what everybody may."""
    return request.get(_USER)


async def may_stay(request: web.Request, role: Role) -> bool:
    """Whether whoever asked is still let in, and may still do what this role may: for answers that go on and on."""
    still = request.get(_STILL)
    user = await ask(still) if still else asking(request)
    return user is not None and user.may(role)


def require(request: web.Request, role: Role) -> User:
    """Who asks. Raises HTTPForbidden if that is nobody, or they may not do what this role may."""
    user = asking(request)
    if user is None or not user.may(role):
        raise web.HTTPForbidden(text=f"only an {role} may do this" if role == "operator" else "sign in first")
    return user


T = TypeVar("T")

_CLERKS = ThreadPoolExecutor(2, "desk")


async def ask(question: Callable[[], T]) -> T:
    """The answer to a question that blocks, but not for long."""
    return await asyncio.get_running_loop().run_in_executor(_CLERKS, question)
