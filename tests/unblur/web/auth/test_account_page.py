"""One's own account."""

from __future__ import annotations

import re

import pytest

from tests.unblur.web.support.serving import OPERATOR, PASSWORD, VIEWER, House

NEW = "staple battery horse"


def test_a_changed_password_ends_all_other_sessions(house: House) -> None:
    visitor, elsewhere, other = house.visitor(VIEWER), house.visitor(VIEWER), house.visitor(OPERATOR)
    before = visitor.cookies["unblur"]
    changed = visitor.submit("/account/password", password=PASSWORD, new=NEW, again=NEW)
    assert (changed.status_code, changed.headers["Location"]) == (303, "/account?changed")
    assert visitor.cookies["unblur"] != before
    assert "Password changed." in visitor.get("/account?changed").text
    assert elsewhere.get("/account").status_code == 303
    assert other.get("/account").status_code == 200
    copy = house.visitor()
    copy.cookies.set("unblur", before)
    assert copy.get("/account").status_code == 303
    assert house.visitor().sign_in(VIEWER).status_code == 403
    assert house.visitor().sign_in(VIEWER, NEW).status_code == 303
    assert (VIEWER, "changed the password", "their own") in house.written()
    assert NEW not in str(house.written())


@pytest.mark.parametrize(
    ("present", "new", "again", "status", "said"),
    [
        ("not the password", NEW, NEW, 403, "that is not your password"),
        (PASSWORD, NEW, NEW + "x", 400, "typed in two ways"),
        (PASSWORD, "too short", "too short", 400, "Passwords need 12"),
    ],
)
def test_a_password_is_not_changed_by_mistake(
    house: House, present: str, new: str, again: str, status: int, said: str
) -> None:
    visitor, elsewhere = house.visitor(VIEWER), house.visitor(VIEWER)
    refused = visitor.submit("/account/password", password=present, new=new, again=again)
    assert refused.status_code == status
    assert said in refused.text
    assert elsewhere.get("/account").status_code == 200


def test_nobody_guesses_a_password_from_within(house: House) -> None:
    visitor = house.visitor(VIEWER)
    statuses = [
        visitor.submit("/account/password", password=f"guess {number}", new=NEW, again=NEW).status_code
        for number in range(6)
    ]
    assert statuses == [403] * 5 + [429]


def test_sessions_are_listed_and_ended_one_by_one(house: House) -> None:
    visitor, elsewhere, other = house.visitor(VIEWER), house.visitor(), house.visitor(OPERATOR)
    elsewhere.sign_in(VIEWER, headers={"User-Agent": "<b>Phone</b>", "X-Forwarded-For": "2001:db8:1:2:3::4"})
    page = visitor.get("/account").text
    assert "&lt;b&gt;Phone&lt;/b&gt;" in page
    assert "2001:db8:1:2::/64" in page
    assert page.count("(this session)") == 1
    theirs = re.findall(r'name="number" value="(\d+)"', other.get("/account").text)
    assert visitor.submit("/account/sessions", number=theirs[0]).status_code == 404
    assert visitor.submit("/account/sessions", number="nonsense").status_code == 404
    numbers = re.findall(r'name="number" value="(\d+)"', page)
    assert len(numbers) == 2
    assert visitor.submit("/account/sessions", number=max(numbers, key=int)).status_code == 303
    assert elsewhere.get("/account").status_code == 303
    assert visitor.get("/account").status_code == 200
    assert other.get("/account").status_code == 200


def test_who_has_no_account_has_nothing_to_change(empty_house: House) -> None:
    visitor = empty_house.visitor()
    assert "No accounts yet" in visitor.get("/account").text
    assert visitor.post("/account/password", data={"new": NEW, "again": NEW}).status_code == 403
    assert visitor.post("/account/sessions", data={"number": "1"}).status_code == 403
