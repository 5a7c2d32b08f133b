"""HTML report of a run over a simulated clip, compared with its ground truth.

The page fetches nothing: its images are embedded, and only the video is a file of its own.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import av
import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stream.errors import OutputError, SourceError
from stream.simulation.ground_truth import GroundTruth
from stream.storage.atomic_files import part_file
from stream.values import Method
from unblur.evaluate.scoring.event_log import AppearanceResult, LoggedEvent, Score, score

METHODS: dict[Method, str] = {"cnn": "Restored", "richardson-lucy": "Restored by Richardson-Lucy"}
NOT_RESTORED = "Not restored"


@dataclass(frozen=True, slots=True)
class DemoRun:
    """The output of a run over a simulated clip.

    `video` is the annotated clip; `crops` a folder with, where an event has them, <event id>.raw.png and
    <event id>.restored.png.
    """

    video: Path
    events: Sequence[LoggedEvent]
    truth: GroundTruth
    crops: Path


@dataclass(frozen=True, slots=True)
class Card:
    """One appearance on the page: its outcome, its best event, and the crops of that event."""

    outcome: AppearanceResult
    event: LoggedEvent | None
    raw: str | None
    restored: str | None

    @property
    def person(self) -> str:
        return readable(self.outcome.appearance.person)

    @property
    def speed(self) -> str:
        one = self.outcome.appearance
        return f"{one.speed_class}, {one.speed:.0f} pixels per frame"

    @property
    def said(self) -> str:
        known, name = self.outcome.appearance.known, readable(self.outcome.name or "")
        match self.outcome.verdict:
            case "right":
                return f"Named {name}" if known else "Correctly left unknown"
            case "wrong":
                return f"Wrongly named {name}"
            case "unknown":
                return "Found, but not recognized"
            case "missed":
                return "Not found"

    @property
    def method(self) -> str:
        return METHODS.get(self.event.deblurred_by, NOT_RESTORED) if self.event else NOT_RESTORED

    @property
    def seen(self) -> str:
        events = self.outcome.events
        return f"{min(one.first_pts_s for one in events):.1f} s to {max(one.pts_s for one in events):.1f} s"


def write_report(out: Path, run: DemoRun, *, credit: str) -> Path:
    """Write the page to `out` (an .html file) and return its path; `credit` names the source of the photographs.

    Raises SourceError if the video cannot be read, OutputError if the page cannot be written.
    """
    result = score(run.events, run.truth)
    cards = [_card(outcome, run.crops) for outcome in result.outcomes]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("demo_report.html.j2").render(
        truth=run.truth,
        shutter=f"{run.truth.appearances[0].shutter:.0%}" if run.truth.appearances else "",
        tally=tally(result),
        cards=cards,
        stray=len({(event.camera, event.track) for event in result.stray}),
        video=quote(os.path.relpath(run.video, out.parent)),
        poster=_poster(run.video, _poster_time(cards)),
        credit=credit,
    )
    _write(out, page)
    return out


def tally(result: Score) -> str:
    """The result in three short sentences."""
    known = sum(one.appearance.known for one in result.outcomes)
    unknown = len(result.outcomes) - known
    wrong = result.count("wrong", known=True) + result.count("wrong", known=False)
    return (
        f"Enrolled people correctly named: {result.count('right', known=True)} of {known}. "
        f"Unknown people correctly left unknown: {result.count('right', known=False)} of {unknown}. "
        f"Wrong names: {wrong}."
    )


def readable(name: str) -> str:
    """A folder name of the gallery with spaces in place of underscores."""
    return name.replace("_", " ")


def _card(outcome: AppearanceResult, crops: Path) -> Card:
    """The event to show: with a crop, the final name and the best score, in this order of importance."""

    def rank(event: LoggedEvent) -> tuple[bool, bool, float]:
        return (crops / f"{event.id}.raw.png").is_file(), event.name == outcome.name, event.score

    event = max(outcome.events, key=rank, default=None)
    if event is None:
        return Card(outcome, None, None, None)
    raw, restored = (_embed(crops / f"{event.id}.{kind}.png") for kind in ("raw", "restored"))
    return Card(outcome, event, raw, restored if event.deblurred_by != "none" else None)


def _embed(picture: Path) -> str | None:
    return _data_uri(picture.read_bytes(), "image/png") if picture.is_file() else None


def _data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _poster_time(cards: Sequence[Card]) -> float:
    """Media time of a correctly named face, preferably a restored one."""
    named = [card for card in cards if card.event and card.outcome.verdict == "right" and card.event.name]
    restored = [card for card in named if card.restored]
    return next((card.event.pts_s for card in [*restored, *named] if card.event), 0.0)


def _poster(video: Path, moment: float) -> str:
    """The video's frame at `moment` (seconds), as a JPEG data URI."""
    try:
        with av.open(str(video)) as container:
            container.seek(round(moment * av.time_base))
            frames = container.decode(video=0)
            picture = next(frame for frame in frames if frame.time is None or frame.time >= moment - 1e-3)
    except (OSError, StopIteration) as error:
        raise SourceError(f"cannot read the annotated video {video}") from error
    _, data = cv2.imencode(".jpg", np.asarray(picture.to_ndarray(format="bgr24"), np.uint8))
    return _data_uri(data.tobytes(), "image/jpeg")


def _write(out: Path, page: str) -> None:
    try:
        with part_file(out) as part:
            part.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write the report {out}: {error.strerror}") from error
