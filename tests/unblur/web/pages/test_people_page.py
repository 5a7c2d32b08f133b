"""The page of all people: over HTTP, and before Chromium."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from playwright.sync_api import Browser, Page, expect, sync_playwright

from configs.schema import Web
from deblur import kernels
from stream.storage.images import png, read_picture
from stream.values import Image
from tests.unblur.conftest import Notes
from tests.unblur.web.support.serving import opened
from unblur.people.face_thumbnails import thumbnails_folder
from unblur.people.gallery_service import GalleryService
from unblur.people.photo_review import PhotoReviewer
from unblur.web.pages.live import LiveView
from unblur.web.pages.people_page import MOST, PeoplePage, person_id
from unblur.web.photos.uploads import Uploads

CHROMIUM = shutil.which("chromium")
WITHIN_MS = 20_000
API = "/api/v1/people"
EVENT = "0" * 32
NOBODY = "0" * 16


@pytest.fixture
def watching(people: GalleryService, examiner: PhotoReviewer, portraits: Path) -> Iterator[LiveView]:
    crop = examiner.check_picture("astronaut.png", read_picture(portraits / "astronaut.png")).crop

    def evidence(event: str) -> Image | None:
        return crop if event == EVENT else None

    uploads = Uploads()
    served = opened(Web(port=0), [], [PeoplePage(people, examiner, uploads, evidence)])
    yield served
    served.close()
    uploads.close()


@pytest.fixture
def client(watching: LiveView) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=watching.address, timeout=60) as opened:
        yield opened


def looked(client: httpx.Client, *files: Path | tuple[str, bytes], **query: str) -> list[dict[str, object]]:
    sent = [("photo", (each.name, each.read_bytes()) if isinstance(each, Path) else each) for each in files]
    answer = client.post(f"{API}/photos", params=query, files=sent)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["photos"])


def ids(photos: list[dict[str, object]]) -> list[object]:
    return [photo["id"] for photo in photos]


def enrolled(client: httpx.Client, name: str, *files: Path) -> dict[str, object]:
    answer = client.post(API, json={"name": name, "photos": ids(looked(client, *files))})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def kinds(photo: dict[str, object]) -> list[str]:
    found = photo["findings"]
    assert isinstance(found, list)
    return [each["kind"] for each in found]


def test_from_photos_to_a_person(client: httpx.Client, portraits: Path, notes: Notes) -> None:
    photos = looked(client, portraits / "obama.jpg", portraits / "obama2.jpg")
    assert [kinds(photo) for photo in photos] == [[], []]
    assert str(photos[0]["picture"]).startswith("data:image/jpeg;base64,")
    new = {"name": "Barack Obama", "description": "44th", "photos": ids(photos)}
    person = client.post(API, json=new).json()
    assert (person["name"], person["description"], len(person["photos"])) == ("Barack Obama", "44th", 2)
    assert client.get(API).json() == {"people": [person]}
    assert client.get(f"{API}/{person['id']}").json() == person
    picture = client.get(person["photos"][0]["picture"])
    assert picture.headers["Content-Type"] == "image/png"
    assert Pillow.open(io.BytesIO(picture.content)).size == (128, 128)
    assert notes == [("local", "enrolled", "Barack Obama")]
    assert client.post(API, json={**new, "name": "Twice"}).status_code == 404  # a photo is enrolled once


def test_a_doubtful_photo_takes_somebody_who_is_sure(
    client: httpx.Client, portraits: Path, people: GalleryService
) -> None:
    (first,) = looked(client, portraits / "obama.jpg")
    photos = looked(client, portraits / "obama.jpg", portraits / "astronaut.png", beside=str(first["id"]))
    assert [kinds(photo) for photo in photos] == [[], ["near-duplicate"], []]
    refused = client.post(API, json={"name": "Obama", "photos": ids(photos)})
    assert refused.status_code == 400
    assert "obama.jpg: near-duplicate" in refused.json()["error"]
    assert not people.gallery.names
    sure = client.post(API, json={"name": "Obama", "photos": ids(photos), "sure": ids(photos[1:2])})
    assert sure.status_code == 200


def test_nobody_is_sure_enough_for_what_would_poison_the_gallery(
    client: httpx.Client, portraits: Path, people: GalleryService
) -> None:
    enrolled(client, "Biden", portraits / "biden.jpg")
    moved = kernels.blur(read_picture(portraits / "obama3.jpg"), kernels.line(61, 0)).astype(np.uint8)
    good = [portraits / "obama.jpg", portraits / "obama2.jpg"]
    photos = looked(client, *good, portraits / "biden.jpg", ("moved.png", png(moved)))
    assert [kinds(photo) for photo in photos[2:]] == [["somebody else's"], ["blurred"]]
    assert [photo["usable"] for photo in photos] == [True, True, False, False]
    person = enrolled(client, "Obama", *good)
    for poison in ids(photos[2:]):
        sent = {"photos": [*ids(photos[:2]), poison], "sure": ids(photos)}
        for asked, path in (({"name": "Barack"}, API), ({}, f"{API}/{person['id']}/photos")):
            refused = client.post(path, json={**asked, **sent})
            assert refused.status_code == 400
            assert "cannot be enrolled" in refused.json()["error"]
    assert {name: len(known.photos) for name, known in people.gallery.people.items()} == {"Biden": 1, "Obama": 2}


def test_whom_a_photo_looks_like_depends_on_whose_it_is_to_be(client: httpx.Client, portraits: Path) -> None:
    person = enrolled(client, "Obama", portraits / "obama.jpg")
    (photo,) = looked(client, portraits / "obama2.jpg")
    assert kinds(photo) == ["looks like somebody else"]
    asked = {"beside": str(photo["id"]), "person": str(person["id"])}
    (again,) = client.get(f"{API}/photos", params=asked).json()["photos"]
    assert kinds(again) == []
    grown = client.post(f"{API}/{person['id']}/photos", json={"photos": [photo["id"]]})
    assert len(grown.json()["photos"]) == 2


def test_photos_turned_by_exif_are_enrolled_upright(client: httpx.Client, portraits: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a maker's name"
    turned = io.BytesIO()
    Pillow.open(portraits / "obama.jpg").convert("RGB").rotate(90, expand=True).save(turned, "JPEG", exif=exif)
    person = enrolled(client, "Obama", portraits / "obama2.jpg")
    (photo,) = looked(client, ("turned.jpg", turned.getvalue()), person=str(person["id"]))
    assert kinds(photo) == []
    assert "maker" not in str(photo)


def test_what_cannot_be_enrolled_is_told(client: httpx.Client) -> None:
    wall = io.BytesIO()
    Pillow.new("RGB", (300, 300), "grey").save(wall, "PNG")
    photos = looked(client, ("wall.png", wall.getvalue()), ("letter.jpg", b"Dear Sir"))
    assert [kinds(photo) for photo in photos] == [["no face"], ["unreadable"]]
    assert [photo["usable"] for photo in photos] == [False, False]
    refused = client.post(API, json={"name": "Nobody", "photos": ids(photos), "sure": ids(photos)})
    assert refused.status_code == 400
    assert "wall.png: no face: none was found: it cannot be enrolled" in refused.json()["error"]


def test_an_events_crop_is_enrolled(client: httpx.Client, people: GalleryService) -> None:
    (photo,) = client.post(f"{API}/crops", json={"event": EVENT}).json()["photos"]
    assert kinds(photo) == []
    assert client.post(API, json={"name": "Eileen Collins", "photos": [photo["id"]]}).status_code == 200
    assert people.gallery.names == ("Eileen Collins",)
    assert client.post(f"{API}/crops", json={"event": "../../people.joblib"}).status_code == 404


def test_a_person_is_changed_merged_and_deleted(client: httpx.Client, portraits: Path, notes: Notes) -> None:
    obama = enrolled(client, "Obama", portraits / "obama.jpg", portraits / "obama2.jpg")
    joe = enrolled(client, "Joe", portraits / "biden.jpg")
    changed = client.patch(f"{API}/{joe['id']}", json={"name": "Joe Biden", "description": "46th"}).json()
    assert (changed["name"], changed["description"]) == ("Joe Biden", "46th")
    assert client.get(f"{API}/{joe['id']}").status_code == 404
    assert client.patch(f"{API}/{changed['id']}", json={"description": ""}).json()["description"] is None
    unlike = client.post(f"{API}/{changed['id']}/merge", json={"into": obama["id"]})
    assert unlike.status_code == 409
    assert "do not look like the same person" in unlike.json()["error"]
    one = client.post(f"{API}/{changed['id']}/merge", json={"into": obama["id"], "sure": True}).json()
    assert (one["name"], len(one["photos"])) == ("Obama", 3)
    less = client.delete(f"{API}/{one['id']}/photos/{one['photos'][2]['id']}").json()
    assert len(less["photos"]) == 2
    assert client.get(one["photos"][2]["picture"]).status_code == 404
    assert client.delete(f"{API}/{one['id']}").status_code == 200
    assert client.get(API).json() == {"people": []}
    assert client.get(less["photos"][0]["picture"]).status_code == 404
    done = ["renamed to Joe Biden", "described", "described", "merged into Obama", "removed a photo", "deleted"]
    assert [what for _, what, _ in notes[2:]] == done


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"/{NOBODY}", None, 404),
        ("PATCH", f"/{NOBODY}", {"name": "Ann"}, 404),
        ("DELETE", f"/{NOBODY}", None, 404),
        ("POST", f"/{NOBODY}/merge", {"into": NOBODY}, 404),
        ("POST", f"/{NOBODY}/photos", {"photos": ["x"]}, 404),
        ("DELETE", f"/{NOBODY}/photos/..%2F..%2Fpeople.joblib", None, 404),
        ("POST", "", {"name": "Ann", "photos": ["x"]}, 404),
        ("POST", "", {"name": "Ann", "photos": []}, 400),
        ("POST", "", {"name": "A" * 81, "photos": ["x"]}, 400),
        ("POST", "", {"photos": ["x"]}, 400),
        ("POST", "", {"name": "\x00", "photos": ["x"]}, 400),
        ("POST", "", {"name": "Unknown", "photos": ["x"]}, 400),
        ("POST", "", {"name": "\u200b", "photos": ["x"]}, 400),
        ("POST", "", {"name": "Ann", "description": "\x1b[2J", "photos": ["x"]}, 400),
        ("PATCH", f"/{NOBODY}", {"name": "Ann\u202e"}, 400),
        ("GET", "/photos", None, 200),
        ("GET", "/photos?beside=nothing", None, 404),
        ("POST", "/photos", {"photo": "x"}, 400),
    ],
)
def test_what_is_wrong_is_told(client: httpx.Client, method: str, path: str, body: object, status: int) -> None:
    answer = client.request(method, API + path, json=body)
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([EVENT, NOBODY, "Ann"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("id", "name", "description", "photos", "sure", "into", "event", "person", "beside", "photo")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    path=st.sampled_from(["", "/photos", "/crops", f"/{NOBODY}", f"/{NOBODY}/merge", f"/{NOBODY}/photos"]),
    body=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
)
def test_nothing_that_is_sent_is_the_servers_fault(
    client: httpx.Client, method: str, path: str, body: dict[str, object]
) -> None:
    query = {key: str(value) for key, value in body.items()}
    assert client.request(method, API + path, params=query, json=body).status_code < 500


def test_a_name_that_no_file_could_bear(client: httpx.Client, portraits: Path) -> None:
    person = enrolled(client, "../../<b>Łukasz & 李/明\\", portraits / "biden.jpg")
    assert client.get(f"{API}/{person['id']}").json()["name"] == "../../<b>Łukasz & 李/明\\"
    assert "&lt;b&gt;Łukasz &amp; 李" in client.get(f"/people/{person['id']}").text
    surrogate = client.patch(
        f"{API}/{person['id']}", content=b'{"name": "\\ud800"}', headers={"Content-Type": "application/json"}
    )
    assert surrogate.status_code == 400


def test_a_person_without_pictures_is_shown(client: httpx.Client, tmp_path: Path, portraits: Path) -> None:
    person = enrolled(client, "Joe", portraits / "biden.jpg")
    for file in thumbnails_folder(
        tmp_path / "people.joblib"
    ).iterdir():  # as beside a gallery that was copied without them
        file.unlink()
    assert client.get(f"{API}/{person['id']}").json()["photos"][0]["picture"] is None
    assert client.get("/people").status_code == client.get(f"/people/{person['id']}").status_code == 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium here")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which nothing goes wrong."""
    opened, faults = browser.new_page(), []
    opened.set_default_timeout(WITHIN_MS)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    opened.close()
    assert not faults


def drop(page: Page, *files: Path) -> None:
    """As a hand does it."""
    page.locator(".propose").evaluate(
        """(zone, files) => {
            const data = new DataTransfer();
            for (const { name, bytes } of files) data.items.add(new File([new Uint8Array(bytes)], name));
            for (const type of ["dragover", "drop"]) {
                zone.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
            }
        }""",
        [{"name": file.name, "bytes": list(file.read_bytes())} for file in files],
    )


def test_photos_are_dropped_and_a_person_appears(
    watching: LiveView, page: Page, portraits: Path, tmp_path: Path, people: GalleryService
) -> None:
    again, wall = tmp_path / "again.jpg", tmp_path / "wall.png"
    again.write_bytes((portraits / "obama.jpg").read_bytes())
    Pillow.new("RGB", (300, 300), "grey").save(wall)
    page.goto(f"{watching.address}/people")
    drop(page, portraits / "obama.jpg", again, wall)
    entries = page.locator(".proposed > li")
    expect(entries).to_have_count(3)
    expect(entries.nth(0)).to_contain_text("Good")
    expect(page.get_by_role("status")).to_have_text("3 photos, 1 good")
    expect(entries.nth(1)).to_contain_text("Almost identical to obama.jpg")
    expect(entries.nth(2)).to_contain_text("No face found")
    expect(entries.nth(0).get_by_role("checkbox")).to_be_checked()
    expect(entries.nth(1).get_by_role("checkbox")).not_to_be_checked()
    expect(entries.nth(2).get_by_role("checkbox")).to_be_disabled()
    page.get_by_label("Use anyway").check()
    page.locator("#files").set_input_files(portraits / "obama2.jpg")
    expect(entries).to_have_count(4)
    expect(page.get_by_label("Use anyway")).to_be_checked()  # what was said stays said
    page.get_by_label("Use anyway").uncheck()
    page.get_by_label("Name").fill("Barack Obama")
    page.get_by_label("Description").fill("44th president")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", name="Barack Obama")).to_be_visible()
    expect(page.get_by_role("img", name="of Barack Obama")).to_have_count(2)
    assert len(people.gallery.people["Barack Obama"].photos) == 2
    page.get_by_role("link", name="‹ People").click()
    expect(page.locator(".card")).to_contain_text("2 photos")


def test_a_name_that_is_known_takes_more_photos(
    watching: LiveView, client: httpx.Client, page: Page, portraits: Path, people: GalleryService
) -> None:
    enrolled(client, "Obama", portraits / "obama.jpg")
    page.goto(f"{watching.address}/people")
    page.locator("#files").set_input_files(portraits / "obama2.jpg")
    entry = page.locator(".proposed > li")
    expect(entry).to_contain_text("Looks like")
    page.get_by_label("Name").fill("Obama")
    page.get_by_label("Description").focus()
    expect(entry).to_contain_text("Good")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("img", name="of Obama")).to_have_count(2)


def test_an_unknown_of_the_events_becomes_somebody(watching: LiveView, page: Page, people: GalleryService) -> None:
    page.goto(f"{watching.address}/people?event={EVENT}&name=Eileen%20Collins")
    expect(page.locator(".proposed > li")).to_contain_text("Good")
    expect(page.get_by_role("status")).to_have_text("1 photo, 1 good")
    expect(page.get_by_label("Name")).to_have_value("Eileen Collins")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("heading", name="Eileen Collins")).to_be_visible()
    assert people.gallery.names == ("Eileen Collins",)


def test_a_person_is_revised_merged_and_deleted_on_their_page(
    watching: LiveView, client: httpx.Client, page: Page, portraits: Path, people: GalleryService
) -> None:
    enrolled(client, "Obama", portraits / "obama.jpg")
    enrolled(client, "Joe", portraits / "biden.jpg")
    page.goto(f"{watching.address}/people/{person_id('Joe')}")
    page.get_by_label("Name").fill("Obama")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#revise .fault")).to_contain_text("Obama is known already: merge")
    page.get_by_label("Name").fill("Joe Biden")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Joe Biden")).to_be_visible()
    expect(page).to_have_title("Joe Biden · unblur")
    page.locator("#files").set_input_files(portraits / "astronaut.png")
    expect(page.locator(".proposed > li")).to_contain_text("Does not look like the other photos")
    page.get_by_label("Use anyway").check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("img", name="of Joe Biden")).to_have_count(2)
    page.get_by_role("button", name="Remove photo 2").click()
    page.get_by_role("button", name="Remove", exact=True).and_(page.locator("dialog button")).click()
    expect(page.get_by_role("img", name="of Joe Biden")).to_have_count(1)
    page.get_by_label("Merge with").select_option("Obama")
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_role("dialog")).to_contain_text("Merge Joe Biden into Obama?")
    page.get_by_role("dialog").get_by_role("button", name="Merge").click()
    expect(page.get_by_role("dialog")).to_contain_text("do not look like the same person")
    assert set(people.gallery.names) == {"Obama", "Joe Biden"}
    page.get_by_role("dialog").get_by_role("button", name="Merge").click()
    expect(page.get_by_role("heading", name="Obama", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.keyboard.press("Enter")  # on what does no harm
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert people.gallery.names == ("Obama",)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No people yet")).to_be_visible()
    assert not people.gallery.names


def test_a_long_name_leaves_room_for_the_buttons_on_a_phone(
    watching: LiveView, client: httpx.Client, browser: Browser, portraits: Path
) -> None:
    name = "W" * 80
    person = enrolled(client, name, portraits / "biden.jpg")
    enrolled(client, "Obama", portraits / "obama.jpg")
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(f"{watching.address}/people/{person['id']}")
    page.get_by_role("button", name="Delete").click()
    for said in ("Cancel", "Delete"):
        button = page.get_by_role("dialog").get_by_role("button", name=said, exact=True)
        box = button.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.close()


def test_more_photos_than_one_request_holds(watching: LiveView, page: Page, tmp_path: Path) -> None:
    walls = [tmp_path / f"{number}.png" for number in range(MOST + 3)]
    for wall in walls:
        Pillow.new("RGB", (64, 64), "grey").save(wall)
    page.goto(f"{watching.address}/people")
    page.locator("#files").set_input_files(walls)
    expect(page.locator(".proposed > li")).to_have_count(MOST + 3)
    page.get_by_label("Name").fill("Nobody")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#enrol .fault")).to_have_text("Choose at least one photo with a face.")
