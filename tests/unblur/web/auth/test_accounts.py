"""Accounts and sessions in their database."""

from __future__ import annotations

import sqlite3
import stat
import time
import timeit
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
import sqlalchemy as sql
from structlog.testing import capture_logs

from tests.unblur.web.auth.test_throttle import Clock
from tests.unblur.web.support.serving import PASSWORD, QUICK
from unblur.app_database import application_database
from unblur.web.auth import sessions as limits
from unblur.web.auth.accounts import Account, AccountError, Accounts, NoAccountError, normalize_account_name
from unblur.web.auth.sessions import Sessions
from unblur.web.transport.access import Role, User

LONG = "a" + "\u0300\u0316" * 15_000
"""To put its marks in order takes a second (UAX 15, 13)."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sql.Engine]:
    made = application_database(tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def accounts(engine: sql.Engine) -> Accounts:
    made = Accounts(engine, QUICK)
    made.add("Ann", PASSWORD, "operator")
    return made


def known(accounts: Accounts, name: str = "ann", password: str = PASSWORD) -> Account:
    account = accounts.check(name, password)
    assert account
    return account


def test_a_password_is_right_or_wrong(accounts: Accounts) -> None:
    assert known(accounts, "ANN").user == User("ann", "operator")
    assert accounts.check("ann", PASSWORD + " ") is None
    assert accounts.check("nobody", PASSWORD) is None
    assert accounts.check("\ud800", "\ud800") is None


def test_who_has_no_account_takes_as_long(engine: sql.Engine) -> None:
    accounts = Accounts(engine)
    accounts.add("ann", PASSWORD, "operator")

    def quickest_s(name: str) -> float:
        return min(timeit.repeat(lambda: accounts.check(name, "not the password"), number=1, repeat=3))

    assert 0.3 < quickest_s("nobody") / quickest_s("ann") < 3  # without a hash it would be thousands of times quicker


def test_letters_are_the_same_however_they_are_written(accounts: Accounts) -> None:
    accounts.add("bob", "caf\u00e9 au lait \ufb01ne", "viewer")
    assert accounts.check("bob", "cafe\u0301 au lait fine")


def test_what_is_too_long_is_refused_before_it_is_normalised(accounts: Accounts) -> None:
    began_s = time.process_time()
    for name, password in ((LONG, PASSWORD), ("ann", LONG), (LONG, LONG), ("ann", PASSWORD + "x" * 1024)):
        assert accounts.check(name, password) is None
        with pytest.raises(AccountError):
            accounts.add(name, password, "viewer")
    with pytest.raises(NoAccountError):
        accounts.remove(LONG)
    assert time.process_time() - began_s < 0.5
    assert len(normalize_account_name(LONG)) == len(normalize_account_name("x" * 257)) == 256  # which nobody's name is


def test_a_name_is_the_same_with_all_its_marks_apart(accounts: Accounts) -> None:
    name = "\u1fa7" * 64
    apart = unicodedata.normalize("NFD", name)
    assert (len(apart), len(normalize_account_name(apart))) == (256, len(normalize_account_name(name)))


def test_a_password_that_is_too_long_takes_as_long(engine: sql.Engine) -> None:
    accounts = Accounts(engine)
    accounts.add("ann", PASSWORD, "operator")

    def quickest_s(password: str) -> float:
        return min(timeit.repeat(lambda: accounts.check("ann", password), number=1, repeat=3))

    assert 0.3 < quickest_s("x" * 1025) / quickest_s("x" * 1024) < 3


@pytest.mark.parametrize(
    ("name", "password", "complaint"),
    [
        ("ann", PASSWORD, "ann already"),
        ("ANN", PASSWORD, "ann already"),
        ("bob", "eleven lett", "Passwords need 12"),
        ("bob", "x" * 1025, "12 to 1024"),
        ("", PASSWORD, "a name has"),
        ("b ob", PASSWORD, "a name has"),
        ("b/ob", PASSWORD, "a name has"),
        ("x" * 65, PASSWORD, "a name has"),
        ("b\u200bob", PASSWORD, r"holds U\+200B"),
        ("unknown", PASSWORD, "nobody can be called unknown"),
        ("local", PASSWORD, "is reserved"),
        ("Token", PASSWORD, "is reserved"),
    ],
)
def test_what_cannot_be_an_account(accounts: Accounts, name: str, password: str, complaint: str) -> None:
    with pytest.raises(AccountError, match=complaint):
        accounts.add(name, password, "viewer")
    assert accounts.all() == [User("ann", "operator")]


def test_the_first_is_an_operator_and_there_is_always_one(engine: sql.Engine) -> None:
    accounts = Accounts(engine, QUICK)
    with pytest.raises(AccountError, match="first account"):
        accounts.add("bob", PASSWORD, "viewer")
    accounts.add("ann", PASSWORD, "operator")
    accounts.add("bob", PASSWORD, "operator")
    accounts.set_role("ann", "viewer")
    with pytest.raises(AccountError, match="only operator"):
        accounts.set_role("bob", "viewer")
    with pytest.raises(AccountError, match="only operator"):
        accounts.remove("bob")
    with pytest.raises(NoAccountError):
        accounts.remove("zoe")
    accounts.remove("ann")
    assert accounts.all() == [User("bob", "operator")]


def test_two_who_leave_at_once_leave_an_operator(accounts: Accounts) -> None:
    for number in range(4):
        accounts.add(f"op{number}", PASSWORD, "operator")
    names = [user.name for user in accounts.all()]

    def demote(name: str) -> None:
        role: Role = "viewer"
        with suppress(AccountError):
            accounts.set_role(name, role)

    with ThreadPoolExecutor(5) as together:
        list(together.map(demote, names))
    assert [user.role for user in accounts.all()].count("operator") == 1


def test_passwords_and_cookies_lie_nowhere_in_clear(engine: sql.Engine, tmp_path: Path) -> None:
    accounts = Accounts(engine)
    accounts.add("ann", PASSWORD, "operator")
    cookie = Sessions(accounts).create(known(accounts), "192.0.2.7", "Firefox")
    with closing(sqlite3.connect(str(engine.url.database))) as database:
        everything = "\n".join(database.iterdump())
        assert "$argon2id$v=19$m=65536,t=3,p=4$" in everything
    for secret in (PASSWORD, cookie, cookie.split(".")[0]):
        assert secret not in everything
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_a_session_is_found_by_its_cookie_alone(accounts: Accounts) -> None:
    sessions = Sessions(accounts)
    cookie = sessions.create(known(accounts), "192.0.2.7", "Firefox \udcff")
    session = sessions.find(cookie)
    assert session
    assert (session.user.name, session.address) == ("ann", "192.0.2.7")
    flipped = cookie[:-1] + ("A" if cookie[-1] != "A" else "B")
    for other in ("", ".", "x" * 5000, flipped, cookie.split(".")[0], cookie.upper(), "\udcff.\udcff"):
        assert sessions.find(other) is None
    assert Sessions(accounts).find(cookie)  # as after a new start
    assert not sessions.check_csrf_token(session, "")
    assert sessions.check_csrf_token(session, session.csrf)


def test_sessions_end_with_the_password_and_the_account(accounts: Accounts) -> None:
    sessions = Sessions(accounts)
    first = sessions.create(known(accounts), "", "")
    before = known(accounts)
    accounts.set_password("ann", "another password")
    assert sessions.find(first) is None
    assert sessions.find(sessions.create(before, "", "")) is None  # begun meanwhile, with the old one
    accounts.add("bob", PASSWORD, "viewer")
    theirs = sessions.create(known(accounts, "bob"), "", "")
    accounts.remove("bob")
    accounts.add("bob", PASSWORD, "viewer")
    assert sessions.find(theirs) is None


def test_a_new_role_counts_at_once(accounts: Accounts) -> None:
    accounts.add("bob", PASSWORD, "operator")
    sessions = Sessions(accounts)
    cookie = sessions.create(known(accounts, "bob"), "", "")
    accounts.set_role("bob", "viewer")
    session = sessions.find(cookie)
    assert session
    assert session.user == User("bob", "viewer")


def test_sessions_end_when_idle_and_when_old(accounts: Accounts) -> None:
    clock = Clock()
    sessions = Sessions(accounts, clock)
    idle, used = (sessions.create(known(accounts), "", "") for _ in range(2))
    began_s = clock.now_s
    clock.now_s += limits.IDLE_S - 1
    assert sessions.find(used)
    clock.now_s += 2
    assert sessions.find(idle) is None
    while clock.now_s < began_s + limits.LONGEST_S - limits.IDLE_S:
        clock.now_s += limits.IDLE_S - 5
        assert sessions.find(used)
    clock.now_s = began_s + limits.LONGEST_S + 1
    assert sessions.find(used) is None


def test_a_use_that_cannot_be_noted_ends_no_session_and_is_seldom_told(accounts: Accounts, engine: sql.Engine) -> None:
    clock = Clock()
    sessions = Sessions(accounts, clock)
    cookie = sessions.create(known(accounts), "", "")
    full = "CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
    with engine.begin() as connection:
        connection.execute(sql.text(full))
    with capture_logs() as said:
        for _ in range(12):
            clock.now_s += 11
            assert sessions.find(cookie)
    assert [line["problem"] for line in said] == 2 * ["database or disk is full"], "once a minute"
    with engine.begin() as connection:
        connection.execute(sql.text("DROP TRIGGER full"))
    clock.now_s += 61
    found = sessions.find(cookie), sessions.find(cookie)
    assert [each.used_s for each in found if each] == [1000.0, clock.now_s]


def test_an_account_has_only_so_many_sessions(accounts: Accounts, engine: sql.Engine) -> None:
    clock = Clock()
    sessions, account = Sessions(accounts, clock), known(accounts)
    cookies = [sessions.create(account, "", "") for _ in range(limits.MOST + 3)]
    assert [sessions.find(cookie) is None for cookie in cookies] == [True] * 3 + [False] * limits.MOST
    clock.now_s += limits.LONGEST_S
    sessions.create(account, "", "")
    with engine.connect() as connection:
        assert connection.scalar(sql.text("SELECT count(*) FROM sessions")) == 1
