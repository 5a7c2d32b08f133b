"""The accounts, as operators see and change them."""

from __future__ import annotations

import re

import pytest

from tests.unblur.web.support.serving import OPERATOR, PASSWORD, VIEWER, House


def test_an_operator_adds_changes_and_removes(house: House) -> None:
    operator = house.visitor(OPERATOR)
    assert operator.submit("/users/add", name="Zoe", password=PASSWORD, role="viewer").status_code == 303
    zoe = house.visitor("zoe")
    assert zoe.get("/users").status_code == 403
    assert operator.submit("/users/role", name="zoe", role="operator").status_code == 303
    assert zoe.get("/users").status_code == 200
    assert operator.submit("/users/remove", name="zoe").status_code == 303
    assert zoe.get("/users").status_code == 303
    assert house.written()[1:] == [
        (OPERATOR, "added an account", "zoe, viewer"),
        ("zoe", "signed in", "from 127.0.0.1"),
        (OPERATOR, "changed a role", "zoe, now operator"),
        (OPERATOR, "removed an account", "zoe"),
    ]


def test_who_removes_an_account_is_asked_first(house: House) -> None:
    """On a page, so that it works without scripts."""
    operator = house.visitor(OPERATOR)
    assert re.search(r'<form action="/users/remove">\s*<button name="name" value="bob"', operator.get("/users").text)
    asked = operator.get("/users/remove?name=Bob")
    assert "Remove the account bob?" in asked.text
    assert 'class="wrong"' not in asked.text
    assert '<p class="wrong">This is your own account.' in operator.get(f"/users/remove?name={OPERATOR}").text
    assert VIEWER in [user.name for user in house.reception.accounts.all()], "asking removes nothing"
    assert operator.get("/users/remove?name=nobody").status_code == 404
    assert house.visitor(VIEWER).get("/users/remove?name=bob").status_code == 403


def test_an_account_that_cannot_be_added_stays_in_the_form(house: House) -> None:
    refused = house.visitor(OPERATOR).submit("/users/add", name="zoe", password="too short", role="operator")
    assert 'value="zoe"' in refused.text
    assert '<option value="operator" selected>Operator</option>\n</select>\n<button>Add' in refused.text


def test_the_last_operator_stays(house: House) -> None:
    operator = house.visitor(OPERATOR)
    for path, fields in (("/users/remove", {}), ("/users/role", {"role": "viewer"})):
        refused = operator.submit(path, name=OPERATOR, **fields)
        assert refused.status_code == 400
        assert "only operator" in refused.text
    headers = {"X-CSRF-Token": operator.csrf()}
    assert operator.delete(f"/api/v1/users/{OPERATOR}", headers=headers).status_code == 400
    body = {"role": "viewer"}
    assert operator.patch(f"/api/v1/users/{OPERATOR}", json=body, headers=headers).status_code == 400
    assert house.reception.accounts.all()[0].role == "operator"


@pytest.mark.parametrize(
    ("path", "fields", "status", "said"),
    [
        ("/users/add", {"name": "zoe", "password": "pw of mine", "role": "viewer"}, 400, "at least 12"),
        ("/users/add", {"name": VIEWER, "password": PASSWORD, "role": "viewer"}, 400, "bob already"),
        ("/users/add", {"name": "z oe", "password": PASSWORD, "role": "viewer"}, 400, "a name has"),
        ("/users/add", {"name": "zoe", "password": PASSWORD, "role": "king"}, 400, "role"),
        ("/users/add", {}, 400, "name"),
        ("/users/role", {"name": "nobody", "role": "viewer"}, 404, "no such account"),
        ("/users/remove", {"name": "nobody"}, 404, "no such account"),
    ],
)
def test_what_cannot_be_is_told_on_the_page(
    house: House, path: str, fields: dict[str, str], status: int, said: str
) -> None:
    refused = house.visitor(OPERATOR).submit(path, **fields)
    assert refused.status_code == status
    assert said in refused.text
    assert PASSWORD not in refused.text
    assert "pw of mine" not in refused.text
    assert [user.name for user in house.reception.accounts.all()] == [OPERATOR, VIEWER]


def test_the_same_over_rest(house: House) -> None:
    operator = house.visitor(OPERATOR)
    operator.headers["X-CSRF-Token"] = operator.csrf()
    people = "/api/v1/users"
    made = operator.post(people, json={"name": "Zoe", "password": PASSWORD})
    assert made.json() == {"name": "zoe", "role": "viewer"}
    assert operator.patch(f"{people}/zoe", json={"role": "operator"}).json() == {"name": "zoe", "role": "operator"}
    assert {"name": "zoe", "role": "operator"} in operator.get(people).json()["users"]
    assert operator.delete(f"{people}/zoe").status_code == 200
    assert operator.delete(f"{people}/zoe").status_code == 404
    refused = operator.post(people, json={"name": "zoe", "password": "pw of mine"})
    assert refused.status_code == 400
    assert "pw of mine" not in refused.text


def test_half_letters_do_no_harm(house: House) -> None:
    operator = house.visitor(OPERATOR)
    headers = {"X-CSRF-Token": operator.csrf(), "Content-Type": "application/json"}
    half = "\\ud800" * 12
    for name in ("zoe", half):
        sent = f'{{"name": "{name}", "password": "{half}"}}'
        assert operator.post("/api/v1/users", content=sent, headers=headers).status_code < 500
    assert house.visitor().sign_in("zoe").status_code == 403
