"""Servers for the tests."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import httpx2 as httpx
from argon2 import PasswordHasher

from configs.schema import Web
from stream.interfaces import Source
from tests.ending import at_end
from unblur.app_database import application_database
from unblur.web.auth.middleware import auth_middleware
from unblur.web.auth.service import AuthService
from unblur.web.pages.live import LiveView
from unblur.web.transport.app import Page

OPERATOR, VIEWER, PASSWORD = "ann", "bob", "correct horse battery"
"""Two accounts, with one password."""
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Real, but as weak as can be: what counts in hashes is that they are slow."""
_CSRF = re.compile(r'<meta name="csrf" content="([^"]*)">')


class _Watching(LiveView):
    """Closed when its test is over, if not before."""

    def __init__(self, settings: Web, sources: Sequence[Source]) -> None:
        super().__init__(settings, sources)
        self._closed = False
        at_end(self.close)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            super().close()


def opened(settings: Web, sources: Sequence[Source], pages: Sequence[Page] = ()) -> LiveView:
    """Open to whoever has the token."""
    watching = _Watching(settings, sources)
    try:
        watching.open(auth_middleware(settings.token), pages)
    except BaseException:
        watching.close()
        raise
    return watching


class House:
    """A server with a reception, over the database in `folder`."""

    def __init__(self, folder: Path, sources: Sequence[Source] = (), token: str | None = None) -> None:
        self.sources = sources
        self.engine = application_database(folder)
        self.reception = AuthService(self.engine, QUICK)
        self.watching = _Watching(Web(port=0, token=token), sources)
        at_end(self.close)
        self.watching.open(self.reception.guard(token), self.reception.pages)
        self.address = self.watching.address

    def visitor(self, name: str | None = None) -> Visitor:
        """A visitor with a separate browser session; signed in as `name`, if one is given."""
        visitor = Visitor(self.address)
        if name:
            assert visitor.sign_in(name).status_code == 303
        return visitor

    def close(self) -> None:
        self.watching.close()
        self.engine.dispose()

    def written(self) -> list[tuple[str, str, str]]:
        """Who did what to whom, the oldest first."""
        with closing(sqlite3.connect(str(self.engine.url.database))) as database:
            return database.execute("SELECT who, what, about FROM audit ORDER BY number").fetchall()


class Visitor(httpx.Client):
    """A browser without scripts."""

    def __init__(self, address: str) -> None:
        super().__init__(base_url=address, headers={"Accept": "text/html"}, timeout=30)

    def sign_in(self, name: str, password: str = PASSWORD, **more: object) -> httpx.Response:
        """Send the login form."""
        return self.post("/login", data={"name": name, "password": password}, **more)  # type: ignore[arg-type]

    def csrf(self) -> str:
        """The CSRF token of this session's pages."""
        found = _CSRF.search(self.get("/account").text)
        assert found
        return found[1]

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of a page of theirs."""
        return self.post(path, data={"csrf": self.csrf(), **fields})
