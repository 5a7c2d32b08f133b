"""Pages on a phone: words stay whole, and nothing is wider than the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.unblur.web.support.register import Register, seen
from tests.unblur.web.support.serving import OPERATOR, PASSWORD, House

NAMES = ("Bartholomew Featherstonehaugh", "Maximiliane von Schwarzenberg")
_BROKEN = """() => {
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), broken = [];
    while (words.nextNode()) {
        for (const { index, 0: word } of words.currentNode.data.matchAll(/[\\p{L}]{2,}/gu)) {
            const range = document.createRange();
            range.setStart(words.currentNode, index);
            range.setEnd(words.currentNode, index + word.length);
            if (range.getClientRects().length > 1) broken.push(word);
        }
    }
    return broken;
}"""
"""Words that stand on more than one line."""


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    yield page
    page.close()


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    made = Register(tmp_path)
    made.see(*(seen(number, name) for number, name in enumerate(NAMES)))
    yield made
    made.close()


def require_whole(page: Page) -> None:
    assert page.evaluate(_BROKEN) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_words_of_what_was_seen_stay_whole(register: Register, phone: Page) -> None:
    phone.goto(register.watching.address)
    expect(phone.locator(".camera .fault")).to_contain_text("Camera offline since")
    expect(phone.locator("#events li")).to_have_count(len(NAMES))
    require_whole(phone)
    for path in ("/events", "/events/event-0"):
        phone.goto(register.watching.address + path)
        expect(phone.get_by_text(NAMES[0]).locator("visible=true").first).to_be_visible()
        require_whole(phone)


def test_words_of_the_accounts_stay_whole(house: House, phone: Page) -> None:
    house.reception.accounts.add("bartholomew@example.org", PASSWORD, "viewer")
    phone.goto(f"{house.address}/users")
    phone.get_by_label("Name").fill(OPERATOR)
    phone.get_by_label("Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in").click()
    expect(phone.get_by_role("heading", name="Accounts")).to_be_visible()
    require_whole(phone)
    for path in ("/account", "/audit", "/users/remove?name=bartholomew@example.org"):
        phone.goto(house.address + path)
        expect(phone.locator("main h2")).to_be_visible()
        require_whole(phone)


def test_the_live_page_without_a_camera_fits_the_screen(phone: Page, tmp_path: Path) -> None:
    house = House(tmp_path)
    phone.goto(house.address)
    expect(phone.locator("#empty pre")).to_be_visible()
    require_whole(phone)
