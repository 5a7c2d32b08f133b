"""Accounts in Chromium: what a person sees, and what their browser sends of its own accord."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from playwright.sync_api import Browser, Page, expect

from stream.sources.receiver import PushSource
from tests.stream.support.events import an_event
from tests.stream.support.web import serve
from tests.unblur.web.support.serving import OPERATOR, PASSWORD, VIEWER, House

NEW = "staple battery horse"


def sign_in(page: Page, name: str = OPERATOR, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def listen(page: Page) -> None:
    """To the events, as some pages do, and to nothing else."""
    page.wait_for_url("**/account")
    with page.expect_response("**/events/stream"):
        page.evaluate(
            "() => { import('/static/event_stream.js').then((it) => it.listen('/api/v1/events/stream', {}, () => {})) }"
        )


def test_in_and_out_again(house: House, page: Page) -> None:
    page.goto(f"{house.address}/users")
    sign_in(page, password="not the password")
    expect(page.get_by_role("alert")).to_have_text("Wrong name or password.")
    sign_in(page)
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
    assert page.url == f"{house.address}/users"
    expect(page.locator("header")).to_contain_text(OPERATOR)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.go_back()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_the_name_stays_when_the_password_was_wrong(house: House, page: Page) -> None:
    page.goto(f"{house.address}/login")
    sign_in(page, password="not the password")
    expect(page.get_by_label("Name")).to_have_value(OPERATOR)
    expect(page.get_by_label("Password")).to_be_focused()


def test_an_account_is_removed_after_a_question(house: House, page: Page) -> None:
    page.goto(f"{house.address}/users")
    sign_in(page)
    page.get_by_role("button", name=f"Remove: {VIEWER}").click()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name=f"Remove: {VIEWER}").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("rowheader", name=OPERATOR)).to_be_visible()
    expect(page.get_by_role("rowheader", name=VIEWER)).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False])
def test_times_are_the_readers_own(house: House, browser: Browser, scripts: bool) -> None:
    """Without scripts the times are in UTC, and say so."""
    there = browser.new_context(timezone_id="Asia/Kolkata", locale="en-GB", java_script_enabled=scripts)
    page = there.new_page()
    page.goto(f"{house.address}/account")
    sign_in(page)
    for path in ("account", "audit"):
        page.goto(f"{house.address}/{path}")
        time = page.locator("time").first
        moment = datetime.fromisoformat(time.get_attribute("datetime") or "")
        local = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
        said = f"{local:%Y, %H:%M:%S}" if scripts else f"{moment:%Y-%m-%d %H:%M}"
        expect(time).to_contain_text(said)
        expect(time).to_contain_text("UTC") if not scripts else expect(time).not_to_contain_text("UTC")
    there.close()


def test_guesses_are_slowed_down(house: House, page: Page) -> None:
    page.goto(f"{house.address}/login")
    for number in range(6):
        with page.expect_navigation():
            sign_in(page, password=f"guess number {number}")
    expect(page.get_by_role("alert")).to_contain_text("Too many attempts.")


def test_no_script_sees_the_cookie(house: House, page: Page) -> None:
    page.goto(f"{house.address}/login")
    sign_in(page)
    page.wait_for_url(f"{house.address}/")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert page.evaluate("document.cookie") == ""


def test_a_session_that_ends_elsewhere_ends_here(house: House, page: Page) -> None:
    page.goto(house.address)
    sign_in(page)
    expect(page.get_by_role("group", name="Cameras")).to_contain_text("phone")
    house.reception.accounts.set_password(OPERATOR, NEW)
    page.wait_for_url("**/login?next=%2F")  # the page asks how the cameras are, and learns it
    sign_in(page, password=NEW)
    expect(page.get_by_role("group", name="Cameras")).to_contain_text("phone")


def test_a_page_that_only_listens_learns_that_a_session_has_ended(house: House, page: Page) -> None:
    page.goto(f"{house.address}/account")
    sign_in(page)
    listen(page)
    house.reception.accounts.set_password(OPERATOR, NEW)
    house.watching.announcer.write(an_event(1))
    page.wait_for_url("**/login?next=%2Faccount")


def test_a_page_that_only_listens_learns_of_the_first_account(empty_house: House, page: Page) -> None:
    page.goto(f"{empty_house.address}/account")
    listen(page)
    empty_house.reception.accounts.add(OPERATOR, PASSWORD, "operator")
    empty_house.watching.announcer.write(an_event(1))
    page.wait_for_url("**/login?next=%2Faccount")


def test_the_own_password_and_sessions(house: House, browser: Browser, page: Page) -> None:
    page.goto(f"{house.address}/account")
    sign_in(page, VIEWER)
    expect(page.get_by_role("link", name="Accounts")).to_have_count(0)
    with browser.new_context() as elsewhere:
        other = elsewhere.new_page()
        other.goto(f"{house.address}/account")
        sign_in(other, VIEWER)
        expect(other.get_by_role("table").get_by_role("button", name="Sign out")).to_have_count(2)
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("New password", exact=True).fill(NEW)
        page.get_by_label("Repeat new password").fill(NEW)
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_role("status")).to_contain_text("All other sessions have ended.")
        expect(page.get_by_role("table").get_by_role("button", name="Sign out")).to_have_count(1)
        other.reload()
        expect(other.get_by_role("button", name="Sign in")).to_be_visible()
    page.get_by_role("table").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_operators_see_to_the_accounts_and_to_who_did_what(house: House, page: Page) -> None:
    page.goto(f"{house.address}/account")
    sign_in(page)
    page.get_by_role("link", name="Accounts").click()
    page.get_by_label("Name").fill("zoe")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Add account").click()
    page.get_by_label("Role: zoe", exact=True).select_option("operator")
    page.get_by_role("button", name="Save role: zoe").click()
    expect(page.get_by_label("Role: zoe", exact=True)).to_have_value("operator")
    page.get_by_role("button", name="Remove: zoe").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_label("Role: zoe", exact=True)).to_have_count(0)
    page.get_by_label(f"Role: {OPERATOR}", exact=True).select_option("viewer")
    page.get_by_role("button", name=f"Save role: {OPERATOR}").click()
    expect(page.get_by_role("alert")).to_have_text(
        f"{OPERATOR} is the only operator; make someone else an operator first."
    )
    page.get_by_role("link", name="Audit log").click()
    rows = page.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("Removed an account")
    expect(rows.nth(2)).to_contain_text("zoe, now operator")
    expect(rows.nth(3)).to_contain_text("zoe, viewer")


def test_whoever_sits_here_makes_the_first_account(empty_house: House, page: Page) -> None:
    page.goto(f"{empty_house.address}/users")
    page.get_by_label("Name").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Add account").click()
    sign_in(page)
    expect(page.get_by_label(f"Role: {OPERATOR}", exact=True)).to_have_value("operator")


def test_a_browser_as_camera_is_for_operators(house: House, page: Page) -> None:
    page.goto(f"{house.address}/send?camera=phone")
    sign_in(page, VIEWER)
    expect(page.get_by_text("Only operators can use a device as a camera.")).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{house.address}/send?camera=phone")
    sign_in(page)
    page.get_by_role("button", name="Start").click()
    guest = house.sources[0]
    assert isinstance(guest, PushSource)
    assert next(guest.frames()).image.shape[2] == 3
    expect(page.get_by_role("status")).to_have_text("Sending")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_have_text("Stopped")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_page_of_another_site_adds_nobody(
    house: House, empty_house: House, page: Page, host: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither under the cookie of whoever is signed in, which the browser sends along to another port of the same host,
    nor where nobody signs in."""
    page.goto(f"{house.address}/login")
    sign_in(page)
    page.wait_for_url(f"{house.address}/")
    folder, eve = tmp_path_factory.mktemp("site"), {"name": "eve", "password": PASSWORD, "role": "operator"}
    fields = "".join(f'<input name="{name}" value="{value}">' for name, value in eve.items())
    for number, target in enumerate((house, empty_house)):
        form = f'<form method="post" action="{target.address}/users/add">{fields}<button>A game</button></form>'
        (folder / f"{number}.html").write_text(form, encoding="utf-8")
    with serve(folder) as elsewhere:
        for number, target in enumerate((house, empty_house)):
            page.goto(f"http://{elsewhere.replace('127.0.0.1', host)}/{number}.html")
            with page.expect_response("**/users/add") as answer:
                page.get_by_role("button").click()
            unknown = target is house and host == "localhost"  # another site altogether: the cookie stays at home
            assert answer.value.status == (303 if unknown else 403)
            assert "eve" not in {user.name for user in target.reception.accounts.all()}
