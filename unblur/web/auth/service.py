"""Who may come in, all in one: accounts, sessions, the audit, and their pages."""

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
    """Everything about accounts, over the application's database."""

    def __init__(self, engine: sql.Engine, hasher: PasswordHasher = HASHER) -> None:
        self.accounts = Accounts(engine, hasher)
        self.audit = Audit(engine)
        self._sessions = Sessions(self.accounts)
        doorkeeper, note = PasswordChecker(self.accounts), self.audit.note
        self.pages: Sequence[Page] = (
            OwnAccount(self._sessions, doorkeeper, note),
            LoginPage(self._sessions, doorkeeper, note),
            Users(self.accounts, note),
            self.audit,
        )

    def guard(self, token: str | None) -> Middleware:
        """Lets through whoever bears the token or is signed in, and, where there is neither token nor account, whoever
        sits at this machine."""
        return auth_middleware(token, self._sessions)
