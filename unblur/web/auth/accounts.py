"""The accounts: names, roles and password hashes (Argon2id, RFC 9106)."""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Any, cast, get_args

import sqlalchemy as sql
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy.exc import IntegrityError

from stream.errors import UsageError
from stream.names import normalize_name
from unblur.web.transport.access import LOCAL, TOKEN, Role, User

SHORTEST, LONGEST = 12, 1024
"""Letters of a password, at least and at most."""
MOST = 1000
"""Accounts at most."""
HASHER = PasswordHasher()
"""RFC 9106's second recommendation: three passes over 64 MiB in four lanes."""
ROLES: tuple[Role, ...] = get_args(Role)
"""The roles of accounts."""
_LONGEST_NAME = 64
_NAME = re.compile(r"[\w.@-]{1,64}")
_LONGEST_WRITTEN = 4 * _LONGEST_NAME
"""Characters in which a name of 64 letters can be written, each with up to three combining marks (UAX 15, 3.1.1)."""
_RESERVED = {LOCAL.name, TOKEN.name, "console"}
"""Names that the audit log uses for users without an account."""

metadata = sql.MetaData()

users = sql.Table(
    "users",
    metadata,
    sql.Column("name", sql.String(64), primary_key=True),
    sql.Column("role", sql.String(16), nullable=False),
    sql.Column("hash", sql.String(255), nullable=False),
    sql.Column("generation", sql.String(32), nullable=False, comment="another with every password"),
)
_COUNT = sql.select(sql.func.count()).select_from(users)
_OPERATORS = _COUNT.where(users.c.role == "operator").scalar_subquery()


class AccountError(UsageError):
    """An account cannot be added or changed as requested."""


class NoAccountError(AccountError):
    """No account has this name."""


@dataclass(frozen=True, slots=True)
class Account:
    """An authenticated account. `password_version` changes with every password."""

    user: User
    password_version: str


class Accounts:
    """The accounts in a database; unless there are none, at least one is an operator's. Names are case-insensitive. All
    methods block."""

    def __init__(self, engine: sql.Engine, hasher: PasswordHasher = HASHER) -> None:
        self.engine = engine
        self._hasher = hasher
        metadata.create_all(engine)
        self._dummy_hash = self._hasher.hash(secrets.token_hex())

    def exist(self) -> bool:
        """Whether there is any account."""
        with self.engine.connect() as connection:
            return bool(connection.scalar(sql.select(sql.exists(sql.select(users)))))

    def all(self) -> list[User]:
        """All users, sorted by name."""
        with self.engine.connect() as connection:
            rows = connection.execute(sql.select(users.c.name, users.c.role).order_by(users.c.name))
            return [User(name, role) for name, role in rows]

    def add(self, name: str, password: str, role: Role) -> User:
        """Add an account. Raises AccountError for a name that is invalid or taken, a password that is too short or too
        long, or a first account that is not an operator's."""
        added = User(_checked_name(name), role)
        row = (added.name, role, self._hash(password), secrets.token_hex(16))
        allowed = sql.and_(
            sql.or_(_OPERATORS > 0, sql.literal(role) == "operator"),
            _COUNT.scalar_subquery() < MOST,
        )
        insertion = sql.insert(users).from_select(list(users.c), sql.select(*map(sql.literal, row)).where(allowed))
        try:
            if not self._execute(insertion):
                raise AccountError(
                    f"there are {MOST} accounts: no more" if self.exist() else "the first account is an operator's"
                )
        except IntegrityError as error:
            raise AccountError(f"there is an account {added.name} already") from error
        return added

    def remove(self, name: str) -> None:
        """Remove an account. Raises NoAccountError; AccountError for the last operator."""
        self._change(name, sql.delete(users).where(_is_removable()))

    def set_role(self, name: str, role: Role) -> None:
        """Change the role of an account. Raises NoAccountError; AccountError for the last operator."""
        allowed = sql.true() if role == "operator" else _is_removable()
        self._change(name, sql.update(users).where(allowed).values(role=role))

    def set_password(self, name: str, password: str) -> None:
        """Change the password, which ends all sessions of the account. Raises NoAccountError; AccountError for a
        password that is too short or too long."""
        values = {"hash": self._hash(password), "generation": secrets.token_hex(16)}
        self._change(name, sql.update(users).values(values))

    def check(self, name: str, password: str) -> Account | None:
        """The account with this name and password, or None. Takes equally long for an unknown name and for a password
        that is too long, so that the time reveals nothing."""
        if len(password) > LONGEST:
            name, password = "", ""
        with self.engine.connect() as connection:
            row = connection.execute(
                sql.select(users).where(users.c.name == normalize_account_name(name))
            ).one_or_none()
        try:
            self._hasher.verify(row.hash if row else self._dummy_hash, _encode_password(password))
        except VerifyMismatchError:
            return None
        return Account(User(row.name, row.role), row.generation) if row else None

    def _change(self, name: str, change: sql.Update | sql.Delete) -> None:
        key = normalize_account_name(name)
        if self._execute(change.where(users.c.name == key)):
            return
        if key not in {user.name for user in self.all()}:
            raise NoAccountError("there is no such account")
        raise AccountError(f"{key} is the only operator; make someone else an operator first.")

    def _execute(self, change: sql.Insert | sql.Update | sql.Delete) -> bool:
        with self.engine.begin() as connection:
            result = connection.execute(change, execution_options={"preserve_rowcount": True})
            return cast("sql.CursorResult[Any]", result).rowcount > 0

    def _hash(self, password: str) -> str:
        if not SHORTEST <= len(password) <= LONGEST:
            raise AccountError(f"Passwords need {SHORTEST} to {LONGEST} characters.")
        return self._hasher.hash(_encode_password(password))


def normalize_account_name(name: str) -> str:
    """The canonical form of a name. A name that is too long to be valid is cut, and stays too long: normalizing takes
    time quadratic in the length, and blocks."""
    normalized = (
        unicodedata.normalize("NFKC", name).casefold() if len(name) <= _LONGEST_WRITTEN else name[:_LONGEST_WRITTEN]
    )
    return normalized.encode(errors="replace").decode()


def _checked_name(name: str) -> str:
    normalized = normalize_account_name(name)
    try:
        normalize_name(normalized, _LONGEST_NAME)
    except UsageError as error:
        raise AccountError(str(error)) from error
    if not _NAME.fullmatch(normalized):
        raise AccountError("a name has 1 to 64 letters, digits, or any of . @ _ -")
    if normalized in _RESERVED:
        raise AccountError(f"the name {normalized} is reserved: choose another")
    return normalized


def _encode_password(password: str) -> bytes:
    """Bytes to hash, the same for every Unicode form of the same letters (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode(errors="backslashreplace")


def _is_removable() -> sql.ColumnElement[bool]:
    """SQL condition: not the last operator."""
    return sql.or_(users.c.role != "operator", _OPERATORS > 1)
