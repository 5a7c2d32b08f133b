"""The page about a run over a simulated clip."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.errors import OutputError, SourceError
from stream.simulation.camera import record
from stream.simulation.cutout import Cutout
from stream.simulation.ground_truth import GroundTruth
from stream.simulation.scene import Scene, WalkerPath, make_background
from stream.values import Box
from unblur.commands.demo_report import DemoRun, write_report
from unblur.evaluate.scoring.event_log import LoggedEvent

CREDIT = "Photographs: nobody & sons."
CARD = Cutout(np.ones((50, 40, 4), np.float32), Box(5, 5, 30, 40))
PEOPLE = {"Ann_Lee": True, "Bob_<i>": True, "Cy": False, "Di": False, "Ed": True}
NAMED = {"Ann_Lee": "Ann_Lee", "Bob_<i>": None, "Cy": None, "Di": "Ann_Lee"}
"""What the log calls them; Ed is not in it."""


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data + " "

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def event(truth: GroundTruth, person: str, frame: int) -> LoggedEvent:
    place, one = next((i, one) for i, one in enumerate(truth.appearances) if one.person == person)
    seen = one.sightings[frame]
    left, top, width, height = (round(part) for part in seen.box)
    return LoggedEvent(
        id=f"e{place}-{frame}",
        type="update",
        camera="demo",
        track=place,
        name=NAMED[person],
        score=0.3 + frame / 100,
        threshold=0.42,
        raw_score=0.28,
        restored_score=0.3 + frame / 100,
        deblurred_by="richardson-lucy" if person == "Ann_Lee" else "none",
        pts_s=seen.frame / 30,
        frame=seen.frame,
        box=(left, top, width, height),
        first_pts_s=one.first_frame / 30,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    folder = tmp_path_factory.mktemp("demo")
    passages = [
        WalkerPath(person, known, "x.jpg", CARD, (20, 40 + 60 * place), (5, 0))
        for place, (person, known) in enumerate(PEOPLE.items())
    ]
    scene = Scene(make_background(320, 320), tuple(passages), 40)
    record(scene, folder / "anno tated.mp4")
    truth = GroundTruth.of(scene)
    events = [event(truth, person, frame) for frame in (3, 20) for person in NAMED]
    (folder / "crops").mkdir()
    for kind, level in (("raw", 60), ("restored", 200)):
        cv2.imwrite(str(folder / "crops" / f"e0-3.{kind}.png"), np.full((8, 8, 3), level, np.uint8))
    return DemoRun(folder / "anno tated.mp4", events, truth, folder / "crops")


@pytest.fixture(scope="module")
def page(run: DemoRun) -> Page:
    return Page(write_report(run.video.parent / "report.html", run, credit=CREDIT))


def test_says_honestly_what_was_right_and_wrong(page: Page) -> None:
    assert "people correctly named: 1 of 3. Unknown people correctly left unknown: 1 of 2. Wrong names: 1." in page.text
    for verdict in (
        "Named Ann Lee",
        "Correctly left unknown",
        "Wrongly named Ann Lee",
        "Found, but not recognized",
        "Not found",
    ):
        assert page.text.count(verdict) >= 2, "on the card and in the table"


def test_shows_score_threshold_and_when(page: Page) -> None:
    assert "0.33, threshold 0.42" in page.text, "of the event that has pictures"
    assert "original 0.28, restored 0.33" in page.text
    assert "0.0 s to 0.7 s" in page.text


def test_pictures_are_embedded_and_described(page: Page) -> None:
    pictures = page.every("img")
    assert len(pictures) == 2, "Ann's crop, raw and restored"
    assert all(str(picture["src"]).startswith("data:image/png;base64,") and picture["alt"] for picture in pictures)
    assert pictures[0]["src"] != pictures[1]["src"]


def test_video_lies_beside_the_page(page: Page) -> None:
    (video,) = page.every("video")
    assert video["src"] == "anno%20tated.mp4"
    assert "controls" in video
    assert str(video["poster"]).startswith("data:image/jpeg;base64,")


def test_fetches_nothing_from_elsewhere(run: DemoRun, page: Page) -> None:
    assert not page.every("script") + page.every("link")
    addresses = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")
    ]
    assert addresses
    assert all(str(address).startswith(("data:", "anno")) for address in addresses)
    assert "url(" not in (run.video.parent / "report.html").read_text(encoding="utf-8")


def test_names_are_escaped_and_credit_is_given(page: Page) -> None:
    assert "Bob <i>" in page.text
    assert not page.every("i")
    assert CREDIT in page.text


def test_same_run_gives_the_same_page(run: DemoRun, tmp_path: Path) -> None:
    pages = [write_report(run.video.parent / name, run, credit=CREDIT) for name in ("one.html", "two.html")]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_missing_video_is_named(run: DemoRun, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.mp4"):
        write_report(tmp_path / "report.html", replace(run, video=tmp_path / "absent.mp4"), credit=CREDIT)
    assert not list(tmp_path.iterdir())


def test_unwritable_place_is_refused(run: DemoRun, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the report"):
        write_report(tmp_path / "absent" / "report.html", run, credit=CREDIT)
