"""Chromium before the photo's pages: it is sent, compared by hand and by key, and taken home."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from recognize.gallery.people_gallery import Gallery
from stream.values import Image
from tests.unblur.web.support.studio import Studio, decoded, encoded, moved, shrunk

PHONE = {"width": 360, "height": 740}
ORIGINAL, RESTORED = "The uploaded photo", "The photo with restored faces"
FACE = np.s_[140:280, 110:230]
"""Where it is in the photo, and about where it is on the page."""
_DROP = """content => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const dragged = new DataTransfer();
    dragged.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
    return dragged;
}"""
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def sharp(portraits: Path) -> Image:
    return shrunk(portraits / "obama2.jpg")


@pytest.fixture(scope="module")
def photo(sharp: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "blurred.png"
    path.write_bytes(encoded(moved(sharp)))
    return path


@pytest.fixture(scope="module")
def studio(known: Gallery) -> Iterator[Studio]:
    opened = Studio(lambda: known)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def developed(studio: Studio, photo: Path, sharp: Image) -> str:
    """The page of a photo that was sent with its sharp original."""
    answered = studio.developed(photo.read_bytes(), encoded(sharp))
    return f"{studio.address}{answered['page']}"


def seen(page: Page) -> Image:
    """What is shown of the photo, without marks."""
    page.get_by_label("Show boxes").uncheck()
    return decoded(page.locator("#compare").screenshot())


def test_a_photo_is_sent_and_its_face_is_named(studio: Studio, photo: Path, page: Page) -> None:
    page.goto(f"{studio.address}/photo")
    page.get_by_label("Photo", exact=True).set_input_files(photo)
    page.get_by_label("Method").select_option("Richardson-Lucy")
    page.get_by_role("button", name="Unblur").click()
    expect(page).to_have_url(re.compile(r"/photo/[\w-]{32}$"))
    face = page.get_by_role("list", name="Faces").get_by_role("listitem")
    expect(face).to_contain_text("Barack Obama")
    expect(face).to_contain_text("44th President of the United States")
    expect(face).to_contain_text(re.compile(r"atch 0\.\d\d \(needs 0\.\d\d\)"))
    expect(face).to_contain_text("restored by Richardson-Lucy")
    expect(face.get_by_role("img")).to_have_count(2)
    expect(page.locator("svg text").first).to_have_text("1 Barack Obama")
    expect(page.get_by_role("article")).to_contain_text("not proof")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the restored photo").click()
    shown = page.get_by_role("img", name=RESTORED).get_attribute("src")
    assert download.value.path().read_bytes() == studio.get(shown or "").content
    assert download.value.suggested_filename == "unblurred.png"


def test_a_photo_is_dropped(studio: Studio, photo: Path, page: Page) -> None:
    page.goto(f"{studio.address}/photo")
    dragged = page.evaluate_handle(_DROP, base64.b64encode(photo.read_bytes()).decode())
    for event in ("dragover", "drop"):
        page.locator("#drop").dispatch_event(event, {"dataTransfer": dragged})
    page.get_by_role("button", name="Unblur").click()
    expect(page.get_by_role("list", name="Faces")).to_contain_text("Barack Obama")


def test_what_is_wrong_with_a_file_is_said(studio: Studio, page: Page) -> None:
    page.goto(f"{studio.address}/photo")
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.get_by_label("Photo", exact=True).set_input_files(broken)  # type: ignore[arg-type]
    page.get_by_role("button", name="Unblur").click()
    expect(page.get_by_role("alert")).to_contain_text("broken.png: not a picture")
    expect(page.get_by_role("button", name="Unblur")).to_be_enabled()


def test_the_line_is_moved_by_key(developed: str, page: Page) -> None:
    page.goto(developed)
    line = page.get_by_role("slider", name="Divider between before")
    line.focus()
    both = {}
    for key, share in (("Home", "100 % restored"), ("End", "0 % restored")):
        line.press(key)
        expect(line).to_have_attribute("aria-valuetext", share)
        both[key] = seen(page)
    line.press("Home")
    for _ in range(40):
        line.press("ArrowRight")
    expect(line).to_have_attribute("aria-valuetext", "60 % restored")
    shown, border = seen(page), round(0.4 * both["Home"].shape[1])
    left, right = np.s_[140:280, 4 : border - 4], np.s_[140:280, border + 4 : -4]
    for half, same, other in ((left, "End", "Home"), (right, "Home", "End")):
        assert cv2.PSNR(shown[half], both[same][half]) > cv2.PSNR(shown[half], both[other][half]) + 10


def test_at_each_end_is_one_of_the_pictures(studio: Studio, developed: str, page: Page) -> None:
    page.goto(developed)
    line = page.get_by_role("slider", name="Divider between before")
    for key, here, other in (("Home", RESTORED, ORIGINAL), ("End", ORIGINAL, RESTORED)):
        line.press(key)
        shown = seen(page)
        near, far = (cv2.PSNR(shown[FACE], _shown(studio, page, name, shown)[FACE]) for name in (here, other))
        assert near > far + 3


def _shown(studio: Studio, page: Page, name: str, size: Image) -> Image:
    """A picture of the page, as large as it is shown."""
    source = page.get_by_role("img", name=name).get_attribute("src")
    assert source
    height, width = size.shape[:2]
    return np.asarray(cv2.resize(studio.picture(source), (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def test_the_line_is_moved_by_touch_on_a_phone(developed: str, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(developed)
    box = page.locator("#compare").bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"])
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuetext", re.compile(r"^(19|20|21) % restored$"))
    context.close()


@pytest.mark.parametrize("where", ["form", "result"])
def test_nothing_reaches_beyond_a_phone(where: str, studio: Studio, developed: str, page: Page) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.goto(developed if where == "result" else f"{studio.address}/photo")
    assert page.evaluate(_OVERFLOW) == 0


def test_the_gain_is_told(developed: str, page: Page) -> None:
    page.goto(developed)
    rows = page.get_by_role("table", name="Compared with the sharp original").get_by_role("row")
    expect(rows.nth(2)).to_contain_text("Whole photo")
    expect(rows.nth(3)).to_contain_text("Face 1")
    before, _, after, _ = (float(cell) for cell in rows.nth(3).get_by_role("cell").all_inner_texts())
    assert after > before


def test_without_scripts_both_pictures_stand_side_by_side(developed: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(developed)
    expect(page.get_by_role("slider")).to_be_hidden()
    left = page.get_by_role("img", name=ORIGINAL).bounding_box()
    right = page.get_by_role("img", name=RESTORED).bounding_box()
    assert left
    assert right
    assert left["x"] + left["width"] <= right["x"]
    assert left["height"] > 100
    expect(page.get_by_role("list", name="Faces")).to_contain_text("Barack Obama")
    context.close()


def test_marks_can_be_taken_away(developed: str, page: Page) -> None:
    page.goto(developed)
    expect(page.locator(".marks").first).to_be_visible()
    page.get_by_label("Show boxes").uncheck()
    expect(page.locator(".marks").first).to_be_hidden()
