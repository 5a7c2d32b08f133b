"""Does deblurring along a face's own motion find more people? Simulated clips through the whole of `unblur`.

    python -m benchmarks.motion --data ../shared/data                 choosing: people of the val split
    python -m benchmarks.motion --data ../shared/data --split test    the final table, once

One 720p30 clip per speed class (slow 4-6, medium 10-20, fast 22-43 pixels a frame): 12 known people and 4 strangers,
faces 55-90 pixels wide, shutter 0.6, CRF 26, before a gallery of 36 (val) or 30 (test) people enrolled by other
photographs. The log of every run is scored against the clip's truth.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from benchmarks.people import Roster, Split, roster
from detectors.yunet import YuNet
from models.fetch import fetch
from models.runtime import load
from stream.backdrop import hall
from stream.cutout import cut
from stream.data import Box, Image
from stream.scene import Passage, Scene
from stream.simulate import record
from stream.stages import Detector
from stream.truth import SpeedClass, Truth
from unblur.evaluate.video import Score, Verdict, read_events, score

KNOWN, STRANGERS = 12, 4
SPEEDS: dict[SpeedClass, tuple[float, float]] = {"slow": (4, 6), "medium": (10, 20), "fast": (22, 43)}
"""Pixels a frame."""
FACES = 55, 90
"""Widths in pixels."""
WIDTH, HEIGHT = 1280, 720
LANES = 150, 360, 570
"""Heights of the faces' paths; neighbouring lanes are walked in opposite directions."""
AT_ONCE = 4
SHUTTER, CRF = 0.6, 26
SLOPE = math.radians(8)
MODES = "off", "richardson-lucy", "cnn"


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A photograph in which the detector finds the face."""

    person: str
    known: bool
    path: Path
    image: Image
    face: Box


@dataclass(frozen=True, slots=True)
class Clip:
    """A simulated clip on disk, with its answer sheet."""

    speed: SpeedClass
    video: Path
    truth: Path


def make_clips(folder: Path, people: Roster, detector: Detector, seed: int, known: int = KNOWN) -> list[Clip]:
    """Record one clip per speed class into `folder`; the same seed gives the same clips."""
    cast = make_cast(people, detector, known)
    return [make_clip(folder, cast, speed, seed) for speed in SPEEDS]


def make_cast(people: Roster, detector: Detector, known: int = KNOWN) -> list[Portrait]:
    """The first `known` known people and a third as many strangers.

    Photographs in which the detector finds no face, still and sharp as they are, are passed over.
    """
    strangers = _found(people.strangers, detector, known=False, count=known // 3)
    return _found(people.shown, detector, known=True, count=known) + strangers


def _found(photos: Mapping[str, Path], detector: Detector, *, known: bool, count: int) -> list[Portrait]:
    """The first `count` people whose face is found."""
    found = (_portrait(person, known, path, detector) for person, path in photos.items())
    return list(islice((portrait for portrait in found if portrait), count))


def _portrait(person: str, known: bool, path: Path, detector: Detector) -> Portrait | None:
    image = np.asarray(cv2.imread(str(path)), np.uint8)
    faces = detector.detect(image)
    if not faces:
        return None
    return Portrait(person, known, path, image, max(faces, key=lambda face: face.box.area).box)


def make_clip(folder: Path, cast: Sequence[Portrait], speed: SpeedClass, seed: int, at_once: int = AT_ONCE) -> Clip:
    """Record everybody of the cast passing at that speed, about `at_once` at a time, with the answer sheet."""
    clip = Clip(speed, folder / f"{speed}.mp4", folder / f"{speed}.truth.json")
    scene = _scene(cast, speed, seed, at_once)
    record(scene, clip.video, crf=CRF)
    Truth.of(scene).save(clip.truth)
    return clip


def _scene(cast: Sequence[Portrait], speed: SpeedClass, seed: int, at_once: int) -> Scene:
    """Everybody of the cast passes once, in an order drawn with the seed."""
    rng = np.random.default_rng(seed)
    apart = WIDTH / float(np.mean(SPEEDS[speed])) / at_once
    order = enumerate(rng.permutation(len(cast)))
    passages = [_passage(cast[place], speed, rank, rank * apart, rng) for rank, place in order]
    end = max(passage.span(WIDTH, HEIGHT)[1] for passage in passages)
    return Scene(hall(WIDTH, HEIGHT), tuple(passages), math.ceil(end), shutter=SHUTTER, seed=seed)


def _passage(portrait: Portrait, speed: SpeedClass, rank: int, enters: float, rng: np.random.Generator) -> Passage:
    lane = rank % len(LANES)
    pace, angle = rng.uniform(*SPEEDS[speed]), rng.uniform(-SLOPE, SLOPE)
    velocity = (-1) ** lane * pace * math.cos(angle), pace * math.sin(angle)
    cutout = cut(portrait.image, portrait.face, rng.uniform(*FACES))
    through = WIDTH / 2, LANES[lane] + rng.uniform(-30, 30)
    passage = Passage(portrait.person, portrait.known, portrait.path.name, cutout, through, velocity)
    return passage.entering(enters, WIDTH, HEIGHT)


def enroll(folder: Path, gallery: Path) -> None:
    _unblur("enroll", folder, "--gallery", gallery)


def run(clip: Path, gallery: Path, events: Path, mode: str) -> None:
    """The whole pipeline over a clip, as a user runs it."""
    _unblur("run", clip, "--gallery", gallery, "--events", events, "--deblur", mode, "--output", "none", "--quiet")


def _unblur(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "unblur", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


HEADER = (
    "| speed | deblurring | right | wrong | unknown | missed | strangers named | strangers missed | name changes "
    "| median s to name | median start error s | median end error s | stray tracks |\n|" + "---|" * 13
)


def row(speed: str, mode: str, result: Score) -> str:
    """A clip's line of the table; right, wrong, unknown and missed count known people."""
    outcomes = result.outcomes
    known = sum(one.appearance.known for one in outcomes)
    named = [f"{result.count(verdict, known=True)} of {known}" for verdict in get_args(Verdict)]
    strangers = [f"{result.count(verdict, known=False)} of {len(outcomes) - known}" for verdict in ("wrong", "missed")]
    times = (
        _median(one.seconds_to_name for one in outcomes),
        _median(one.start_error for one in outcomes),
        _median(one.end_error for one in outcomes),
    )
    stray = len({(event.camera, event.track) for event in result.stray})
    changes = sum(one.name_changes for one in outcomes)
    return "| " + " | ".join([speed, mode, *named, *strangers, str(changes), *times, str(stray)]) + " |"


def _median(values: Iterable[float | None]) -> str:
    given = [value for value in values if value is not None]
    return f"{statistics.median(given):.2f}" if given else "none"


def main() -> None:
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as unpacked:
        people = roster(arguments.data, arguments.split, Path(unpacked), arguments.seed)
        clips = make_clips(arguments.out, people, YuNet(load(fetch("yunet"))), arguments.seed)
        gallery = arguments.out / "gallery.joblib"
        enroll(people.lay_out(Path(unpacked) / "enrolled"), gallery)
    print(
        f"data {arguments.split}, {len(people.enrolled)} enrolled, seed {arguments.seed}, {_provenance()}\n\n{HEADER}"
    )
    for clip in clips:
        for mode in MODES:
            events = arguments.out / f"{clip.speed}.{mode}.jsonl"
            events.unlink(missing_ok=True)
            run(clip.video, gallery, events, mode)
            print(row(clip.speed, mode, score(read_events(events), Truth.load(clip.truth))), flush=True)


def _provenance() -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    return f"commit {commit.stdout.strip()}, {platform.machine()}, Python {platform.python_version()}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.motion", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared data")
    parser.add_argument("--split", choices=get_args(Split), default="val")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/motion"), help="where clips, gallery and events go")
    return parser.parse_args()


if __name__ == "__main__":
    main()
