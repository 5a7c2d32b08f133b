"""Signing in and out, as a browser without scripts does it."""

from __future__ import annotations

import time
from http.cookies import SimpleCookie

import httpx2 as httpx
import pytest

from tests.unblur.web.auth.test_accounts import LONG
from tests.unblur.web.support.serving import OPERATOR, PASSWORD, VIEWER, House

ELSEWHERE = {"Origin": "http://elsewhere.example"}


def cookie(answer: httpx.Response) -> SimpleCookie:
    return SimpleCookie(answer.headers["Set-Cookie"])


def test_pages_lead_to_the_login_and_back(house: House) -> None:
    visitor = house.visitor()
    sent = visitor.get("/account?changed")
    assert sent.status_code == 303
    assert sent.headers["Location"] == "/login?next=/account%3Fchanged"
    page = visitor.get(sent.headers["Location"])
    assert page.status_code == 200
    assert "<form" in page.text
    assert "<nav" not in page.text
    answer = visitor.post(sent.headers["Location"], data={"name": OPERATOR, "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account?changed")
    assert visitor.get("/account").status_code == 200
    again = visitor.get(sent.headers["Location"])
    assert (again.status_code, again.headers["Location"]) == (303, "/account?changed")


def test_a_wrong_password_and_a_wrong_name_get_the_same_answer(house: House) -> None:
    visitor = house.visitor()
    answers = [visitor.sign_in(OPERATOR, "not the password"), visitor.sign_in("nobody at all", PASSWORD)]
    assert {answer.status_code for answer in answers} == {403}
    same = {answer.text.replace(OPERATOR, "").replace("nobody at all", "") for answer in answers}
    assert len(same) == 1, "but for the name, which stays in its field"
    assert f'value="{OPERATOR}"' in answers[0].text
    assert PASSWORD not in answers[1].text
    assert "Set-Cookie" not in answers[0].headers
    assert visitor.get("/account").status_code == 303


def test_cookies_are_not_for_scripts_nor_for_other_sites(house: House) -> None:
    held = cookie(house.visitor().sign_in(OPERATOR))["unblur"]
    assert held["httponly"]
    assert held["samesite"] == "Lax"
    assert held["path"] == "/"
    assert not held["domain"]
    assert not held["secure"]


def test_over_https_cookies_never_go_without(house: House) -> None:
    answer = house.visitor().sign_in(OPERATOR, headers={"X-Forwarded-Proto": "https"})
    held = cookie(answer)["__Host-unblur"]
    assert held["secure"]
    assert held["httponly"]
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "Strict-Transport-Security" not in house.visitor().get("/login").headers


@pytest.mark.parametrize(
    "place",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "\\/evil.example", "evil", ""],
)
def test_the_login_leads_to_no_other_site(house: House, place: str) -> None:
    visitor = house.visitor()
    answer = visitor.post("/login", params={"next": place}, data={"name": OPERATOR, "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert visitor.get("/login", params={"next": place}).headers["Location"] == "/"


def test_a_session_that_somebody_chose_is_not_taken_up(house: House) -> None:
    attacker, victim = house.visitor(VIEWER), house.visitor()
    planted = attacker.cookies["unblur"]
    victim.cookies.set("unblur", planted)
    answer = victim.sign_in(OPERATOR)
    assert cookie(answer)["unblur"].value != planted
    assert attacker.get("/account").status_code == 303  # the planted one has ended
    victim.cookies.clear()
    victim.cookies.set("unblur", "chosen-by-somebody.else")
    assert victim.get("/account").status_code == 303
    assert cookie(victim.sign_in(OPERATOR))["unblur"].value != "chosen-by-somebody.else"


def test_signing_out_ends_the_session_wherever_it_is_held(house: House) -> None:
    visitor, copy = house.visitor(OPERATOR), house.visitor()
    copy.cookies.set("unblur", visitor.cookies["unblur"])
    assert copy.get("/account").status_code == 200
    answer = visitor.submit("/logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert copy.get("/account").status_code == 303
    assert copy.get("/api/v1/cameras").status_code == 401
    assert "unblur" not in visitor.cookies


def test_pages_are_not_kept_for_whoever_comes_after(house: House) -> None:
    visitor = house.visitor(OPERATOR)
    for path in ("/", "/account", "/api/v1/users"):
        assert visitor.get(path).headers["Cache-Control"] == "no-store"


def test_guessing_grows_slow(house: House) -> None:
    visitor = house.visitor()
    statuses = [visitor.sign_in(OPERATOR, f"guess number {number}").status_code for number in range(6)]
    assert statuses == [403] * 5 + [429]
    answer = visitor.sign_in(OPERATOR)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert visitor.sign_in(VIEWER).status_code == 429  # another account, but the same address
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    assert house.visitor().sign_in(OPERATOR, headers=elsewhere).status_code == 303


@pytest.mark.parametrize("claimed", ["198.51.100.{}", "198.51.100.{}, 192.0.2.1"])
def test_what_a_proxy_adds_counts_and_not_what_it_passes_on(house: House, claimed: str) -> None:
    """In a line of its own, as HAProxy does."""
    visitor = house.visitor()
    data = {"name": OPERATOR, "password": "not the password"}
    statuses = [
        visitor.post(
            "/login",
            data=data,
            headers=[("X-Forwarded-For", claimed.format(number)), ("X-Forwarded-For", "203.0.113.9")],
        ).status_code
        for number in range(6)
    ]
    assert statuses == [403] * 5 + [429]
    assert house.written()[-1][2] == f"{OPERATOR} from 203.0.113.9"


def test_an_account_is_slow_wherever_guesses_come_from(house: House) -> None:
    visitor = house.visitor()
    statuses = [
        visitor.sign_in(name, "not the password", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
        for name in (OPERATOR, "nobody")
        for number in range(11)
    ]
    assert statuses == 2 * ([403] * 10 + [429])


def test_no_other_page_signs_anybody_in(house: House) -> None:
    visitor = house.visitor()
    assert visitor.sign_in(OPERATOR, headers=ELSEWHERE).status_code == 403
    assert visitor.sign_in(OPERATOR, headers={"Origin": "null"}).status_code == 403
    assert visitor.sign_in(OPERATOR, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert visitor.sign_in(OPERATOR, headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert visitor.sign_in(OPERATOR, headers={"Origin": house.address}).status_code == 303


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\xfe=\xff", "application/x-www-form-urlencoded"),
        (b"name=%ff%ed%a0%80&password=%ed%a0%80", "application/x-www-form-urlencoded; charset=nonsense"),
        (b"&".join(b"a=%d" % number for number in range(200)), "application/x-www-form-urlencoded"),
        (b"x" * 2_000_000, "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"--x", "multipart/form-data; boundary=x"),
        (b"", "text/plain; charset=\xff"),
    ],
)
def test_nonsense_is_refused_and_does_no_harm(house: House, body: bytes, content_type: str) -> None:
    visitor, operator = house.visitor(), house.visitor(OPERATOR)
    operator.headers["X-CSRF-Token"] = operator.csrf()
    for path in ("/login", "/account/password", "/users/add", "/users/role", "/account/sessions", "/logout"):
        for asking in (visitor, operator):
            answer = asking.post(path, content=body, headers={b"Content-Type": content_type.encode("latin-1")})
            assert 300 <= answer.status_code < 500


def test_nothing_long_keeps_the_server_busy(house: House) -> None:
    visitor, operator = house.visitor(), house.visitor(OPERATOR)
    csrf = operator.csrf()
    began_s = time.process_time()
    assert visitor.sign_in(LONG).status_code == visitor.sign_in(OPERATOR, LONG).status_code == 413
    assert visitor.sign_in(LONG[:2500]).status_code == visitor.sign_in(OPERATOR, LONG[:2500]).status_code == 403
    for path, fields in (
        ("/users/role", {"name": LONG, "role": "viewer"}),
        ("/users/remove", {"name": LONG}),
        ("/users/add", {"name": LONG, "password": PASSWORD}),
        ("/users/add", {"name": "zoe", "password": LONG}),
        ("/account/password", {"password": LONG, "new": LONG, "again": LONG}),
    ):
        assert operator.post(path, data={"csrf": csrf, **fields}).status_code in (400, 403, 404)
    assert time.process_time() - began_s < 1  # each normalisation would take as long


def test_a_password_of_the_longest_letters_fits_into_the_form(house: House) -> None:
    longest = "\U0001f6aa" * 1024
    house.reception.accounts.set_password(OPERATOR, longest)
    assert house.visitor().sign_in(OPERATOR, longest).status_code == 303


def test_what_happens_is_written_down_and_secrets_are_not(house: House) -> None:
    visitor = house.visitor()
    visitor.sign_in("my password, typed as a name")
    visitor.sign_in("Ann", "not the password")
    visitor.sign_in("Ann")
    held = visitor.cookies["unblur"]
    visitor.submit("/logout")
    assert house.written() == [
        ("nobody", "failed to sign in", "an unknown name from 127.0.0.1"),
        ("nobody", "failed to sign in", "ann from 127.0.0.1"),
        ("ann", "signed in", "from 127.0.0.1"),
        ("ann", "signed out", ""),
    ]
    said = str(house.written())
    assert not any(secret in said for secret in (PASSWORD, "not the password", held))
