"""With `--redact`, no picture that leaves shows a face that is to be hidden: neither films nor crops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.outputs.restored_label import BORDER
from stream.simulation.ground_truth import GroundTruth
from stream.storage.images import read_picture
from stream.values import Image
from unblur.cli import main

FPS = 30
SPAN = range(30, 210)
"""Frames in which a known and an unknown person walk in and meet."""
CELLS = 64
"""Of a crop that is hidden."""
ALIKE = 0.6
"""Correlation of fine detail; it is higher without redaction, except for faces beneath an overlay's label."""


def frames(film: Path) -> Iterator[tuple[int, Image]]:
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            number = round((frame.time or 0) * FPS)
            if number in SPAN:
                yield number, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def detail(image: Image, box: tuple[float, float, float, float]) -> np.ndarray:
    """What is finer than a few pixels in the middle half of a face, where no line of the overlay lies."""
    x, y, width, height = (round(side) for side in box)
    inner = image[max(y + height // 4, 0) : y + 3 * height // 4, max(x + width // 4, 0) : x + 3 * width // 4]
    grey = cv2.cvtColor(inner, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), 2)


def shown(film: Path, demo: Path) -> dict[str, float]:
    """For each person, the share of the frames with more than half of their face in which the face is recognizable."""
    truth = GroundTruth.load(demo / "truth.json")
    visible: dict[str, list[bool]] = {}
    for (number, before), (_, after) in zip(frames(demo / "camera.mp4"), frames(film), strict=True):
        for appearance in truth.appearances:
            for sighting in appearance.sightings:
                if sighting.frame == number and sighting.visible > 0.5:
                    one, other = detail(before, sighting.box), detail(after, sighting.box)
                    likeness = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum() + 1e-6)
                    visible.setdefault(appearance.person, []).append(bool(likeness > ALIKE))
    return {person: float(np.mean(moments)) for person, moments in visible.items()}


def run(demo: Path, out: Path, *options: str) -> Path:
    span = ("--from", str(SPAN[0] / FPS), "--to", str((SPAN[-1] + 1) / FPS))
    outputs = ("--output", str(out / "film.mp4"), "--evidence", str(out / "crops"), "--events", str(out / "log.jsonl"))
    gallery = str(demo / "people.joblib")
    source = str(demo / "camera.mp4")
    assert main(["run", "--quiet", source, "--gallery", gallery, *span, *outputs, *options]) == 0
    return out / "film.mp4"


def colours(crop: Path) -> int:
    """Without the border of what was restored."""
    picture = read_picture(crop)
    inner = picture[BORDER:-BORDER, BORDER:-BORDER] if ".restored." in crop.name else picture
    return len(np.unique(inner.reshape(-1, 3), axis=0))


def crops(out: Path, named: bool) -> list[Path]:
    events = map(json.loads, (out / "log.jsonl").read_text(encoding="utf-8").splitlines())
    ids = [event["id"] for event in events if (event["name"] is not None) == named]
    return [path for event in ids for path in (out / "crops").glob(f"{event}.*.png")]


def test_the_check_finds_faces_without_redaction(demo: Path) -> None:
    visible = shown(demo / "annotated.mp4", demo)
    assert len(visible) == 2
    assert all(share > 0.7 for share in visible.values())


def test_no_face_is_visible_if_all_are_redacted(demo: Path, tmp_path: Path) -> None:
    film = run(demo, tmp_path, "--redact", "all")
    assert set(shown(film, demo).values()) == {0.0}
    hidden = crops(tmp_path, named=True) + crops(tmp_path, named=False)
    assert hidden
    assert all(colours(crop) <= CELLS for crop in hidden)


def test_only_named_faces_are_visible_if_unknown_are_redacted(demo: Path, tmp_path: Path) -> None:
    film = run(demo, tmp_path, "--redact", "unknown")
    visible = shown(film, demo)
    known = {appearance.person for appearance in GroundTruth.load(demo / "truth.json").appearances if appearance.known}
    assert known & set(visible)
    for person, share in visible.items():
        assert share > 0.5 if person in known else share == 0.0, person
    assert crops(tmp_path, named=True)
    assert crops(tmp_path, named=False)
    assert all(colours(crop) <= CELLS for crop in crops(tmp_path, named=False))
    assert all(colours(crop) > 1000 for crop in crops(tmp_path, named=True))


@pytest.mark.parametrize("whom", ["nobody", "off"])
def test_an_invalid_redaction_mode_is_refused(whom: str, demo: Path) -> None:
    assert main(["run", str(demo / "camera.mp4"), "--redact", whom]) == 2
