"""The recorded clips through `unblur run`: everyone in them gets the right name, and no other name occurs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unblur.cli import main

PEOPLE = {
    "hamilton": {"Lin-Manuel_Miranda", "Alex_Lacamoire"},
    "katie_hill_512": {"Katie_Hill"},
    "man_door_360p": {"Man_Door"},
    "ocasio_cortez_512": {"Alexandria_Ocasio-Cortez"},
    "woman_office_720p": {"Woman_Office"},
    "woman_outdoors_720p": {"Woman_Outdoors"},
    "crowd_1080p": set[str](),
    "no_face": set[str](),
}
PERHAPS = {"hamilton": {"Barack_Obama"}}
"""People who are visible and may stay unknown: Obama sits far back in the hall."""
BEGIN = {"hamilton": 0, "crowd_1080p": 0, "no_face": 0}
ENROLLED_FRAMES = 15
"""The single-person clips are enrolled from their own first frames; what is judged comes after those."""


@pytest.fixture(scope="module")
def gallery(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gallery") / "people.joblib"
    assert main(["enroll", str(shared / "clips" / "gallery"), "--gallery", str(path)]) == 0
    return path


@pytest.mark.slow
@pytest.mark.parametrize("clip", PEOPLE)
def test_the_right_names_are_in_the_log(clip: str, shared: Path, gallery: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    begin = str(BEGIN.get(clip, ENROLLED_FRAMES / 25))
    source = [str(shared / "clips" / f"{clip}.mp4"), "--from", begin]
    assert main(["run", *source, "--gallery", str(gallery), "--events", str(log), "--quiet"]) == 0
    events: list[dict[str, Any]] = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    names = {event["name"] for event in events} - {None}
    assert PEOPLE[clip] <= names <= PEOPLE[clip] | PERHAPS.get(clip, set())
    if clip == "no_face":
        assert not events
