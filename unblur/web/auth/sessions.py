"""Who is signed in: sessions that the server knows, and ends. A browser holds a session's id, signed, as its cookie;
the database holds the id's hash alone, so that a copy of it lets nobody in."""

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
"""A session ends that nobody has used for so long,"""
LONGEST_S = 7 * 24 * 3600.0
"""and any that is so old."""
MOST = 20
"""Sessions of one account: one more ends the one that was not used for longest."""
_NOTED_EVERY_S = 60.0
"""Not every request is worth a write."""

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
_THEIRS = sql.and_(sessions.c.name == users.c.name, sessions.c.generation == users.c.generation)


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in. Times are seconds since 1970 UTC; `csrf` is what its forms bear."""

    number: int
    user: User
    csrf: str
    began_s: float
    used_s: float
    address: str
    browser: str


SESSION = web.RequestKey("session", Session)
"""The session in which somebody asks."""


class Sessions:
    """The sessions of `accounts`, in the same database; `clock` tells seconds since 1970 UTC. All methods block."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float] = time.time) -> None:
        metadata.create_all(accounts.engine)
        self.accounts = accounts
        self._engine, self._clock = accounts.engine, clock
        self._refused_s = -math.inf
        key = self._key()
        self._cookies = Signer(key, salt="cookie", digest_method=hashlib.sha256)
        self._forms = Signer(key, salt="form", digest_method=hashlib.sha256)

    def create(self, account: Account, address: str, browser: str) -> str:
        """The cookie of a new session."""
        made, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "digest": _digest(made),
            "name": account.user.name,
            "generation": account.password_version,
            "began_s": now,
            "used_s": now,
            "address": address[:64],
            "browser": str(encode_surrogates(browser))[:200],
        }
        with self._engine.begin() as connection:
            connection.execute(sql.insert(sessions).values(row))
            self._clear_out(connection, account.user.name)
        return self._cookies.sign(made).decode()

    def find(self, cookie: str) -> Session | None:
        """The session of this cookie, unless it has ended."""
        try:
            made = self._cookies.unsign(cookie.encode(errors="surrogateescape")).decode()
        except (BadSignature, UnicodeDecodeError):
            return None
        with self._engine.connect() as connection:
            row = connection.execute(self._alive().where(sessions.c.digest == _digest(made))).one_or_none()
        if row is None:
            return None
        now = self._clock()
        if now - max(row.used_s, self._refused_s) > _NOTED_EVERY_S:
            self._note_use(row.number, now)
        return self._session(row)

    def user_of(self, cookie: str) -> User | None:
        """Who is signed in with this cookie, in the role that they have now."""
        session = self.find(cookie)
        return session.user if session else None

    def of(self, name: str) -> list[Session]:
        """Those of an account, the latest used first."""
        wanted = self._alive().where(sessions.c.name == name).order_by(sessions.c.used_s.desc())
        with self._engine.connect() as connection:
            return [self._session(row) for row in connection.execute(wanted)]

    def end(self, name: str, number: int) -> bool:
        """End this session of this account; whether there was one."""
        with self._engine.begin() as connection:
            ending = sql.delete(sessions).where(sessions.c.name == name, sessions.c.number == number)
            return connection.execute(ending).rowcount > 0

    def check_csrf_token(self, session: Session, token: str) -> bool:
        """Whether a form, or a script's request, bears what only this session's pages were told."""
        return secrets.compare_digest(session.csrf.encode(), token.encode(errors="surrogateescape"))

    def _session(self, row: sql.Row[tuple[object, ...]]) -> Session:
        user = User(row.name, row.role)
        csrf = self._forms.get_signature(row.digest).decode()
        return Session(row.number, user, csrf, row.began_s, row.used_s, row.address, row.browser)

    def _alive(self) -> sql.Select[tuple[object, ...]]:
        """An account that is gone, or whose password is another now, has no sessions."""
        now = self._clock()
        fresh = sql.and_(sessions.c.used_s > now - IDLE_S, sessions.c.began_s > now - LONGEST_S)
        return sql.select(sessions, users.c.role).join(users, _THEIRS).where(fresh)

    def _note_use(self, number: int, now: float) -> None:
        """A disk that is full keeps nobody out; the next try waits, and so does the next complaint."""
        try:
            with self._engine.begin() as connection:
                connection.execute(sql.update(sessions).where(sessions.c.number == number).values(used_s=now))
        except SQLAlchemyError as error:
            self._refused_s = now
            _log.warning("the use of a session cannot be noted: it may end too early", problem=database_error(error))

    def _clear_out(self, connection: sql.Connection, name: str) -> None:
        alive = self._alive().with_only_columns(sessions.c.number).subquery()
        connection.execute(sql.delete(sessions).where(sessions.c.number.not_in(sql.select(alive))))
        newest = (
            sql.select(sessions.c.number)
            .where(sessions.c.name == name)
            .order_by(sessions.c.used_s.desc(), sessions.c.number.desc())
        )
        connection.execute(
            sql.delete(sessions).where(sessions.c.name == name, sessions.c.number.not_in(newest.limit(MOST)))
        )

    def _key(self) -> bytes:
        """Made once, by whoever comes first."""
        with self._engine.begin() as connection:
            made = sql.select(sql.literal("sessions"), sql.literal(secrets.token_bytes(32)))
            wanted = sql.select(keys.c.key).where(keys.c.name == "sessions")
            connection.execute(sql.insert(keys).from_select(list(keys.c), made.where(~wanted.exists())))
            return bytes(connection.execute(wanted).scalar_one())


def _digest(made: str) -> str:
    return hashlib.sha256(made.encode()).hexdigest()


def read_cookie(request: web.Request) -> str:
    """The cookie that came with the request; empty if none did."""
    return request.cookies.get(_name(request), "")


def set_cookie(request: web.Request, response: web.StreamResponse, cookie: str) -> None:
    """Not for scripts, nor for requests of other sites that change something. Lax, for links from elsewhere, as in a
    notification, shall find who follows them signed in."""
    response.set_cookie(
        _name(request),
        cookie,
        max_age=int(LONGEST_S),
        path=prefix(request) or "/",
        httponly=True,
        samesite="Lax",
        secure=is_encrypted(request),
    )


def clear_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """The browser forgets it."""
    path = prefix(request) or "/"
    response.del_cookie(_name(request), path=path, secure=is_encrypted(request), httponly=True, samesite="Lax")


def _name(request: web.Request) -> str:
    """Over https one that no unencrypted page can set, nor, without a prefix, another host of the domain (RFC 6265bis,
    4.1.3): with a prefix the path is not `/`, and another application of the host is not sent it."""
    if not is_encrypted(request):
        return "unblur"
    return "__Secure-unblur" if prefix(request) else "__Host-unblur"
