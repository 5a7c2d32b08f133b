"""Server-side login sessions. The cookie is a signed random session id; the database stores only the id's hash, so that
a copy of the database gives no access."""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sql
import structlog
from aiohttp import web
from itsdangerous import BadSignature, Signer
from sqlalchemy.exc import SQLAlchemyError

from stream.storage.database import database_error, encode_surrogates
from unblur.web.auth.accounts import Account, Accounts, metadata, users
from unblur.web.transport.access import User
from unblur.web.transport.path_prefix import prefix
from unblur.web.transport.request_origin import is_encrypted

IDLE_S = 12 * 3600.0
"""A session ends after this time without use."""
LONGEST_S = 7 * 24 * 3600.0
"""A session ends at this age."""
MOST = 20
"""Sessions of one account at most; above that, the least recently used one ends."""
_USE_RECORDED_EVERY_S = 60.0
"""Minimum interval between writes of a session's last use."""

sessions = sql.Table(
    "sessions",
    metadata,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("digest", sql.String(64), nullable=False, unique=True),
    sql.Column("name", sql.String(64), nullable=False, index=True),
    sql.Column("generation", sql.String(32), nullable=False, comment="of the password that it began with"),
    sql.Column("began_s", sql.Double, nullable=False),
    sql.Column("used_s", sql.Double, nullable=False),
    sql.Column("address", sql.String(64), nullable=False),
    sql.Column("browser", sql.String(200), nullable=False),
    sqlite_autoincrement=True,
)
keys = sql.Table(
    "keys",
    metadata,
    sql.Column("name", sql.String(32), primary_key=True),
    sql.Column("key", sql.LargeBinary, nullable=False),
)
_log = structlog.get_logger(__name__)
_SAME_PASSWORD = sql.and_(sessions.c.name == users.c.name, sessions.c.generation == users.c.generation)


@dataclass(frozen=True, slots=True)
class Session:
    """A login session. Times are seconds since 1970 UTC; `csrf` is the token of its forms."""

    number: int
    user: User
    csrf: str
    began_s: float
    used_s: float
    address: str
    browser: str


SESSION = web.RequestKey("session", Session)
"""The session of a request."""


class Sessions:
    """The sessions of `accounts`, in the same database; `clock` returns seconds since 1970 UTC. All methods block."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float] = time.time) -> None:
        metadata.create_all(accounts.engine)
        self.accounts = accounts
        self._engine, self._clock = accounts.engine, clock
        self._write_failed_s = -math.inf
        key = self._load_key()
        self._cookies = Signer(key, salt="cookie", digest_method=hashlib.sha256)
        self._forms = Signer(key, salt="form", digest_method=hashlib.sha256)

    def create(self, account: Account, address: str, browser: str) -> str:
        """Create a session; returns its cookie."""
        session_id, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "digest": _hash_id(session_id),
            "name": account.user.name,
            "generation": account.password_version,
            "began_s": now,
            "used_s": now,
            "address": address[:64],
            "browser": str(encode_surrogates(browser))[:200],
        }
        with self._engine.begin() as connection:
            connection.execute(sql.insert(sessions).values(row))
            self._prune(connection, account.user.name)
        return self._cookies.sign(session_id).decode()

    def find(self, cookie: str) -> Session | None:
        """The session of this cookie; None if it is invalid or has ended."""
        try:
            session_id = self._cookies.unsign(cookie.encode(errors="surrogateescape")).decode()
        except (BadSignature, UnicodeDecodeError):
            return None
        with self._engine.connect() as connection:
            row = connection.execute(
                self._select_valid().where(sessions.c.digest == _hash_id(session_id))
            ).one_or_none()
        if row is None:
            return None
        now = self._clock()
        if now - max(row.used_s, self._write_failed_s) > _USE_RECORDED_EVERY_S:
            self._record_use(row.number, now)
        return self._to_session(row)

    def user_of(self, cookie: str) -> User | None:
        """The user signed in with this cookie, with their present role."""
        session = self.find(cookie)
        return session.user if session else None

    def of(self, name: str) -> list[Session]:
        """The sessions of an account, the latest used first."""
        query = self._select_valid().where(sessions.c.name == name).order_by(sessions.c.used_s.desc())
        with self._engine.connect() as connection:
            return [self._to_session(row) for row in connection.execute(query)]

    def end(self, name: str, number: int) -> bool:
        """End this session of this account. Returns whether it existed."""
        with self._engine.begin() as connection:
            ending = sql.delete(sessions).where(sessions.c.name == name, sessions.c.number == number)
            return connection.execute(ending).rowcount > 0

    def check_csrf_token(self, session: Session, token: str) -> bool:
        """Whether `token`, sent by a form or a script, is the CSRF token of this session."""
        return secrets.compare_digest(session.csrf.encode(), token.encode(errors="surrogateescape"))

    def _to_session(self, row: sql.Row[tuple[object, ...]]) -> Session:
        user = User(row.name, row.role)
        csrf = self._forms.get_signature(row.digest).decode()
        return Session(row.number, user, csrf, row.began_s, row.used_s, row.address, row.browser)

    def _select_valid(self) -> sql.Select[tuple[object, ...]]:
        """Valid sessions: not expired, of an existing account whose password has not changed since."""
        now = self._clock()
        fresh = sql.and_(sessions.c.used_s > now - IDLE_S, sessions.c.began_s > now - LONGEST_S)
        return sql.select(sessions, users.c.role).join(users, _SAME_PASSWORD).where(fresh)

    def _record_use(self, number: int, now: float) -> None:
        """Record the last use. A full disk must not end sessions: a failure is logged, and the next write delayed."""
        try:
            with self._engine.begin() as connection:
                connection.execute(sql.update(sessions).where(sessions.c.number == number).values(used_s=now))
        except SQLAlchemyError as error:
            self._write_failed_s = now
            _log.warning("the use of a session cannot be noted: it may end too early", problem=database_error(error))

    def _prune(self, connection: sql.Connection, name: str) -> None:
        valid = self._select_valid().with_only_columns(sessions.c.number).subquery()
        connection.execute(sql.delete(sessions).where(sessions.c.number.not_in(sql.select(valid))))
        newest = (
            sql.select(sessions.c.number)
            .where(sessions.c.name == name)
            .order_by(sessions.c.used_s.desc(), sessions.c.number.desc())
        )
        connection.execute(
            sql.delete(sessions).where(sessions.c.name == name, sessions.c.number.not_in(newest.limit(MOST)))
        )

    def _load_key(self) -> bytes:
        """The signing key, created at the first start; safe against concurrent starts."""
        with self._engine.begin() as connection:
            new_key = sql.select(sql.literal("sessions"), sql.literal(secrets.token_bytes(32)))
            stored = sql.select(keys.c.key).where(keys.c.name == "sessions")
            connection.execute(sql.insert(keys).from_select(list(keys.c), new_key.where(~stored.exists())))
            return bytes(connection.execute(stored).scalar_one())


def _hash_id(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def read_cookie(request: web.Request) -> str:
    """The session cookie of a request; empty if it has none."""
    return request.cookies.get(_cookie_name(request), "")


def set_cookie(request: web.Request, response: web.StreamResponse, cookie: str) -> None:
    """Set the session cookie: not readable by scripts, not sent with other sites' POST requests. SameSite=Lax, so that
    a user who follows a link from elsewhere, e.g. in a notification, is signed in."""
    response.set_cookie(
        _cookie_name(request),
        cookie,
        max_age=int(LONGEST_S),
        path=prefix(request) or "/",
        httponly=True,
        samesite="Lax",
        secure=is_encrypted(request),
    )


def clear_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Delete the session cookie."""
    path = prefix(request) or "/"
    response.del_cookie(_cookie_name(request), path=path, secure=is_encrypted(request), httponly=True, samesite="Lax")


def _cookie_name(request: web.Request) -> str:
    """The cookie's name. Over https no unencrypted page can set it, nor, without a path prefix, another host of the
    domain (RFC 6265bis, 4.1.3). With a prefix the path is not `/`, so that other applications of the host do not
    receive the cookie."""
    if not is_encrypted(request):
        return "unblur"
    return "__Secure-unblur" if prefix(request) else "__Host-unblur"
