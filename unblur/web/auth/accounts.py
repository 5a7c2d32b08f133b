"""Who may come in: names, roles and hashes of passwords (Argon2id, RFC 9106)."""

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
"""Letters of a password."""
MOST = 1000
"""Accounts."""
HASHER = PasswordHasher()
"""RFC 9106's second recommendation: three passes over 64 MiB in four lanes."""
ROLES: tuple[Role, ...] = get_args(Role)
"""What an account may be."""
_LONGEST_NAME = 64
_NAME = re.compile(r"[\w.@-]{1,64}")
_WRITTEN = 4 * _LONGEST_NAME
"""Characters in which a name of 64 letters can be written, each with up to three marks of its own (UAX 15, 3.1.1)."""
_RESERVED = {LOCAL.name, TOKEN.name, "console"}
"""What the audit log calls those who have no account."""

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
    """An account cannot be as it was asked for."""


class NoAccountError(AccountError):
    """There is no such account."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody whose password was right. `generation` is another with every password."""

    user: User
    password_version: str


class Accounts:
    """The accounts in a database. There is always an operator among them, unless there are none at all. Names are the
    same in capitals and in small letters. All methods block."""

    def __init__(self, engine: sql.Engine, hasher: PasswordHasher = HASHER) -> None:
        self.engine = engine
        self._hasher = hasher
        metadata.create_all(engine)
        self._nobodys = self._hasher.hash(secrets.token_hex())

    def exist(self) -> bool:
        """Whether there are any."""
        with self.engine.connect() as connection:
            return bool(connection.scalar(sql.select(sql.exists(sql.select(users)))))

    def all(self) -> list[User]:
        """By name."""
        with self.engine.connect() as connection:
            rows = connection.execute(sql.select(users.c.name, users.c.role).order_by(users.c.name))
            return [User(name, role) for name, role in rows]

    def add(self, name: str, password: str, role: Role) -> User:
        """Raises AccountError for a name that is none or taken, a password that is too short, or a first account that
        is not an operator's."""
        added = User(_named(name), role)
        row = (added.name, role, self._hash(password), secrets.token_hex(16))
        allowed = sql.and_(
            sql.or_(_OPERATORS > 0, sql.literal(role) == "operator"),
            _COUNT.scalar_subquery() < MOST,
        )
        adding = sql.insert(users).from_select(list(users.c), sql.select(*map(sql.literal, row)).where(allowed))
        try:
            if not self._changed(adding):
                raise AccountError(
                    f"there are {MOST} accounts: no more" if self.exist() else "the first account is an operator's"
                )
        except IntegrityError as error:
            raise AccountError(f"there is an account {added.name} already") from error
        return added

    def remove(self, name: str) -> None:
        """Raises NoAccountError; AccountError for the last operator."""
        self._change(name, sql.delete(users).where(_dispensable()))

    def set_role(self, name: str, role: Role) -> None:
        """Raises NoAccountError; AccountError for the last operator, who stays one."""
        kept = sql.true() if role == "operator" else _dispensable()
        self._change(name, sql.update(users).where(kept).values(role=role))

    def set_password(self, name: str, password: str) -> None:
        """Ends all sessions of this account. Raises NoAccountError; AccountError for a password that is too short."""
        values = {"hash": self._hash(password), "generation": secrets.token_hex(16)}
        self._change(name, sql.update(users).values(values))

    def check(self, name: str, password: str) -> Account | None:
        """Whose name and password these are. Takes as long for somebody who has no account, and for a password that is
        too long to be anybody's."""
        if len(password) > LONGEST:
            name, password = "", ""
        with self.engine.connect() as connection:
            row = connection.execute(
                sql.select(users).where(users.c.name == normalize_account_name(name))
            ).one_or_none()
        try:
            self._hasher.verify(row.hash if row else self._nobodys, _bytes(password))
        except VerifyMismatchError:
            return None
        return Account(User(row.name, row.role), row.generation) if row else None

    def _change(self, name: str, change: sql.Update | sql.Delete) -> None:
        wanted = normalize_account_name(name)
        if self._changed(change.where(users.c.name == wanted)):
            return
        if wanted not in {user.name for user in self.all()}:
            raise NoAccountError("there is no such account")
        raise AccountError(f"{wanted} is the only operator; make someone else an operator first.")

    def _changed(self, change: sql.Insert | sql.Update | sql.Delete) -> bool:
        with self.engine.begin() as connection:
            result = connection.execute(change, execution_options={"preserve_rowcount": True})
            return cast("sql.CursorResult[Any]", result).rowcount > 0

    def _hash(self, password: str) -> str:
        if not SHORTEST <= len(password) <= LONGEST:
            raise AccountError(f"a password has at least {SHORTEST} letters, and at most {LONGEST}")
        return self._hasher.hash(_bytes(password))


def normalize_account_name(name: str) -> str:
    """A name in the one form in which it is kept. One that is too long to be anybody's is cut and stays too long:
    normalising takes the square of the length, and meanwhile nothing else runs."""
    kept = unicodedata.normalize("NFKC", name).casefold() if len(name) <= _WRITTEN else name[:_WRITTEN]
    return kept.encode(errors="replace").decode()


def _named(name: str) -> str:
    kept = normalize_account_name(name)
    try:
        normalize_name(kept, _LONGEST_NAME)
    except UsageError as error:
        raise AccountError(str(error)) from error
    if not _NAME.fullmatch(kept):
        raise AccountError("a name has 1 to 64 letters, digits, or any of . @ _ -")
    if kept in _RESERVED:
        raise AccountError(f"the name {kept} means somebody without an account: take another")
    return kept


def _bytes(password: str) -> bytes:
    """The same for every way to write the same letters (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode(errors="backslashreplace")


def _dispensable() -> sql.ColumnElement[bool]:
    return sql.or_(users.c.role != "operator", _OPERATORS > 1)
