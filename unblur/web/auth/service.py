"""The authentication service: accounts, sessions, the audit log, and their pages."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sql
from aiohttp.typedefs import Middleware
from argon2 import PasswordHasher

from unblur.web.auth.account_page import OwnAccount
from unblur.web.auth.accounts import HASHER, Accounts
from unblur.web.auth.audit import Audit
from unblur.web.auth.login_page import LoginPage
from unblur.web.auth.login_throttle import PasswordChecker
from unblur.web.auth.middleware import auth_middleware
from unblur.web.auth.sessions import Sessions
from unblur.web.auth.users_page import Users
from unblur.web.transport.app import Page


class AuthService:
    """Accounts, sessions and audit log in the application's database, with their pages."""

    def __init__(self, engine: sql.Engine, hasher: PasswordHasher = HASHER) -> None:
        self.accounts = Accounts(engine, hasher)
        self.audit = Audit(engine)
        self._sessions = Sessions(self.accounts)
        password_checker, note = PasswordChecker(self.accounts), self.audit.note
        self.pages: Sequence[Page] = (
            OwnAccount(self._sessions, password_checker, note),
            LoginPage(self._sessions, password_checker, note),
            Users(self.accounts, note),
            self.audit,
        )

    def guard(self, token: str | None) -> Middleware:
        """Middleware that admits requests with the token or a session, and, where there is neither token nor account,
        requests from this machine."""
        return auth_middleware(token, self._sessions)
