"""Chromium before the events: they are searched, opened, judged and taken home."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.unblur.web.support.register import COLOURS, EVENTS, Register, seen
from unblur.people.photo_review import Rejection
from unblur.web.pages.people_page import person_id

_MIDDLE = """image => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return [...context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3).reverse();
}"""


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    opened = Register(tmp_path)
    opened.see(*EVENTS)
    yield opened
    opened.close()


def sightings(page: Page) -> list[str]:
    """The ids of the events on the page."""
    ids = page.locator(".sightings > li").evaluate_all("found => found.map(one => one.id)")
    return [str(one).removeprefix("event-") for one in ids]


def test_a_person_is_searched_and_an_event_opened(register: Register, page: Page) -> None:
    page.goto(f"{register.watching.address}/")
    page.get_by_role("link", name="Events", exact=True).click()
    assert sightings(page) == ["event-4", "event-2", "event-1", "event-0", "event-3"]
    page.get_by_label("Who").select_option("山田")
    page.get_by_label("Camera").select_option("yard")
    page.get_by_role("combobox", name="Restored").select_option("Restored")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(r"\?person=[^&]*&camera=yard&restored=true$"))
    assert sightings(page) == ["event-2", "event-3"]
    expect(page.get_by_role("combobox", name="Restored")).to_have_value("true")
    meter = page.get_by_role("meter").first
    assert meter.get_attribute("aria-valuetext") == "Strong match (0.63, needs 0.42)"
    page.get_by_role("link", name="山田").first.click()
    expect(page).to_have_url(f"{register.watching.address}/events/event-2")
    expect(page.get_by_role("article")).to_contain_text("Łukasz")


def test_the_crops_are_shown_side_by_side_and_one_is_marked(register: Register, page: Page) -> None:
    page.goto(f"{register.watching.address}/events/event-0")
    for name, colour in (("Original", COLOURS["raw"]), ("Restored", COLOURS["restored"])):
        shown = page.get_by_role("figure").filter(has_text=name).get_by_role("img")
        shown.evaluate("image => image.decode()")
        assert shown.evaluate(_MIDDLE) == list(colour)
    expect(page.get_by_role("article")).to_contain_text("not proof")
    page.goto(f"{register.watching.address}/events/event-1")
    expect(page.get_by_role("figure")).to_have_count(1)


def test_a_picture_that_is_gone_is_not_shown_broken(register: Register, page: Page) -> None:
    (register.folder / "event-0.restored.png").unlink()
    page.goto(f"{register.watching.address}/events/event-0")
    expect(page.get_by_role("figure").filter(has_text="Restored")).to_be_hidden()
    expect(page.get_by_role("figure").filter(has_text="Original")).to_be_visible()


def test_times_are_the_viewers_own(register: Register, browser: Browser) -> None:
    """Half past three in the afternoon in India is ten in the morning, UTC."""
    there = browser.new_context(timezone_id="Asia/Kolkata", locale="en-GB")
    page = there.new_page()
    page.goto(f"{register.watching.address}/events")
    expect(page.locator("#event-event-0 time")).to_have_text("22 Nov 2026, 15:30:00")
    assert page.locator("#event-event-0 time").get_attribute("datetime") == "2026-11-22T10:00:00.000Z"
    page.get_by_label("From").fill("2026-11-22T15:31")
    page.get_by_label("To", exact=True).fill("2026-11-22T15:33:00")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(r"since=2026-11-22T10%3A01%3A00.000Z&until="))
    assert sightings(page) == ["event-2", "event-1"]
    expect(page.get_by_label("From")).to_have_value("2026-11-22T15:31")
    there.close()


def test_it_works_without_scripts(register: Register, browser: Browser) -> None:
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(f"{register.watching.address}/events")
    page.get_by_label("Who").select_option("Unknown people")
    page.get_by_label("From (UTC)").fill("2026-11-22T10:02:00")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".sightings > li")).to_have_count(1)
    page.get_by_role("link", name="unknown").click()
    page.get_by_role("button", name="Correct").click()
    expect(page.get_by_role("listitem")).to_contain_text("You: correct")
    assert register.feedback.history("event-4")[0].verdict == "right"
    plain.close()


def test_an_operator_says_who_it_is(register: Register, page: Page) -> None:
    page.goto(f"{register.watching.address}/events/event-0")
    page.get_by_label("Who is it?").fill("Ann Lee")
    page.get_by_label("Who is it?").press("Enter")
    words = page.get_by_role("article").get_by_role("listitem")
    expect(words.first).to_contain_text("You: wrong, this is Ann Lee")
    register.complaint = Rejection("too blurred to be learnt", "unfit")
    page.get_by_label("Who is it?").fill("Ann Lee")
    page.get_by_role("button", name="Save this face to").click()
    expect(page.get_by_role("alert")).to_contain_text("too blurred to be learnt")
    expect(page.get_by_label("Who is it?")).to_have_value("Ann Lee")
    register.complaint = None
    page.get_by_role("button", name="Save this face to").click()
    expect(words.first).to_contain_text("You: face saved to Ann Lee")
    expect(words).to_have_count(2)
    assert [(person, who) for person, _, who in register.added] == [("Ann Lee", "Ada")]
    page.goto(f"{register.watching.address}/events")
    expect(page.locator("#event-event-0")).to_contain_text("You: face saved to Ann Lee")


def test_who_is_not_known_can_be_added_as_somebody_new(register: Register, page: Page) -> None:
    page.goto(f"{register.watching.address}/events/event-1")
    newcomer = page.get_by_role("link", name="New person")
    expect(newcomer).to_have_attribute("href", "/people?event=event-1")
    register.complaint = Rejection("Ann & Lee is not known", "nobody")
    page.get_by_label("Who is it?").fill("Ann & Lee")
    page.get_by_role("button", name="Save this face to").click()
    offered = page.get_by_role("alert").get_by_role("link", name="New person")
    expect(offered).to_have_attribute("href", "/people?event=event-1&name=Ann%20%26%20Lee")
    expect(page.get_by_label("Who is it?")).to_have_value("Ann & Lee")
    page.goto(f"{register.watching.address}/events/event-4")  # without a picture there is nothing to enrol
    expect(page.get_by_role("heading", name="Review")).to_be_visible()
    expect(newcomer).to_have_count(0)


def test_a_doubtful_face_is_added_by_somebody_who_is_sure(register: Register, page: Page) -> None:
    page.goto(f"{register.watching.address}/events/event-1")
    register.complaint = Rejection("unlike their other photos: 0.04, needed 0.38", "doubtful")
    expect(page.get_by_label("Add anyway")).to_have_count(0)
    page.get_by_label("Who is it?").fill("Ann Lee")
    page.get_by_role("button", name="Save this face to").click()
    expect(page.get_by_role("alert")).to_contain_text("unlike their other photos")
    assert not register.added
    page.get_by_label("Add anyway").check()
    page.get_by_role("button", name="Save this face to").click()
    words = page.get_by_role("article").get_by_role("listitem")
    expect(words).to_contain_text("You: face saved to Ann Lee")
    expect(words.get_by_role("link", name="View photos")).to_have_attribute("href", f"/people/{person_id('Ann Lee')}")
    assert [(person, who) for person, _, who in register.added] == [("Ann Lee", "Ada")]


def test_a_viewer_is_offered_no_word(register: Register, page: Page) -> None:
    register.role = "viewer"
    page.goto(f"{register.watching.address}/events/event-0")
    expect(page.get_by_role("heading", name="Review")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("link", name="New person")).to_have_count(0)


def test_what_is_found_can_be_taken_home(register: Register, page: Page, tmp_path: Path) -> None:
    page.goto(f"{register.watching.address}/events?camera=yard&limit=1")
    for link, name in (("CSV", "events.csv"), ("JSON lines", "events.jsonl")):
        with page.expect_download() as download:
            page.get_by_role("link", name=link).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
    with (tmp_path / "events.csv").open(encoding="utf-8", newline="") as table:
        assert [row["name"] for row in csv.DictReader(table)] == ["山田", "山田"]
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["event-2", "event-3"]


def test_new_events_are_told_where_they_are_searched(register: Register, page: Page) -> None:
    page.goto(f"{register.watching.address}/events?known=true")
    news = page.get_by_role("status").get_by_role("link")
    register.see(seen(10, None), seen(11), seen(12))
    expect(news).to_have_text("2 new")
    news.click()
    expect(page.locator("#event-event-12")).to_be_visible()
    assert sightings(page)[:2] == ["event-12", "event-11"]
    expect(news).to_be_hidden()
    register.see(seen(13))
    expect(news).to_have_text("1 new")


def test_pages_are_turned(register: Register, page: Page) -> None:
    page.goto(f"{register.watching.address}/events?limit=3")
    page.get_by_role("link", name="Older").click()
    assert sightings(page) == ["event-0", "event-3"]
    page.get_by_role("link", name="Newest").click()
    assert sightings(page) == ["event-4", "event-2", "event-1"]


def test_the_live_page_shows_the_latest_with_their_crops(register: Register, page: Page) -> None:
    page.goto(f"{register.watching.address}/")
    entries = page.get_by_role("log").get_by_role("listitem")
    expect(entries).to_have_count(5)
    register.see(seen(20, "Ann Lee"))
    expect(entries.first).to_contain_text("Arrived · lobby")
    expect(entries.first).to_contain_text("Ann Lee")
    pictures = entries.first.get_by_role("img")
    for shown, colour in zip(pictures.all(), COLOURS.values(), strict=True):
        shown.evaluate("image => image.decode()")
        assert shown.evaluate(_MIDDLE) == list(colour)
    expect(entries.nth(1).get_by_role("img")).to_have_count(0)
    entries.first.get_by_role("link").click()
    expect(page).to_have_url(f"{register.watching.address}/events/event-20")


@pytest.mark.parametrize("name", ["<b>Ann</b>", '"><script>document.title="?"</script>', "{{ 7 * 7 }}", "%s"])
def test_a_name_is_text_wherever_it_is_shown(register: Register, page: Page, name: str) -> None:
    register.see(seen(30, name))
    for path in ("/events", "/events/event-30", "/"):
        page.goto(f"{register.watching.address}{path}")
        expect(page.get_by_text(name).locator("visible=true").first).to_be_visible()
        expect(page).to_have_title(re.compile("unblur"))
