"""Simulated clips of any people: their photographs walk past a camera, and the truth goes along.

The camera, 720p30, is that of `stream.simulation.sensor`. Each person walks by once: the lanes have opposite
directions, and in a lane one person follows the other, so that no face is hidden unless crossings or occlusion are
asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from detectors.yunet import YuNet
from models.assets.fetch import fetch
from models.backends.selection import load
from stream.errors import OutputError, SourceError
from stream.interfaces import Detector
from stream.simulation.camera import CRF, record
from stream.simulation.cutout import cut
from stream.simulation.ground_truth import GroundTruth
from stream.simulation.scene import Occluder, Scene, WalkerPath, make_background
from stream.storage.images import write_picture
from stream.values import Box
from unblur import terminal
from unblur.evaluate.data.datasets import Portrait, portrayed, roles
from unblur.terminal import download_bar

Speed = Literal["slow", "mixed", "fast"]
SPEEDS: Mapping[Speed, tuple[float, float]] = {"slow": (4, 6), "mixed": (4, 45), "fast": (22, 45)}
"""Pixels a frame, evenly distributed."""
WIDTH, HEIGHT = 1280, 720
FACES = 55, 90
"""Widths in pixels."""
SLOPE = math.radians(3)
"""The steepest that anybody walks."""
SWAY = 15
"""Pixels by which somebody walks above or below the middle of a lane, at most."""
MEETING = 0.3, 0.7
"""Where faces meet, or pass behind something, in widths of the picture."""
HIDDEN = 10, 20
"""Frames for which an occluder touches a face."""
BOARD = 1.3, 2.0
"""Width and height of an occluder, in those of the face."""
LIT, SWITCHING, DIM = 60, 6, 0.2
"""Frames for which the light stays on, or off; frames in which it changes; and how bright it is when it is off."""


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """How a clip is to be. At most `at_once` people walk at a time. With `crossing` they come in twos, who meet and
    pass one before the other; with `occlusion` something passes before each face; with `lighting` the light goes
    off and on again. `shutter` as `Scene.shutter`; `crf` is H.264's constant rate factor."""

    speed: Speed = "mixed"
    at_once: int = 4
    shutter: float = 0.6
    crossing: bool = False
    occlusion: bool = False
    lighting: bool = False
    crf: int = CRF


@dataclass(frozen=True, slots=True, eq=False)
class Walker:
    """Somebody who walks by: the photograph, where the face lies in it, and whether the person is enrolled."""

    portrait: Portrait
    face: Box
    known: bool


def walkers(portraits: Iterable[Portrait], detector: Detector, *, known: bool) -> list[Walker]:
    """Those in whose photographs a face is found, still and sharp as they are."""
    found = ((portrait, portrayed(detector, portrait.image)) for portrait in portraits)
    return [Walker(portrait, face.box, known) for portrait, face in found if face]


def one_each(portraits: Iterable[Portrait], turn: int = 0) -> list[Portrait]:
    """One photograph of each person: the first, or another at another turn."""
    taken: dict[str, list[Portrait]] = {}
    for portrait in portraits:
        taken.setdefault(portrait.person, []).append(portrait)
    return [each[turn % len(each)] for each in taken.values()]


def film(cast: Sequence[Walker], filming: ClipSettings, seed: int, video: Path, truth: Path) -> None:
    """Take the clip (MP4), then write its truth; the same seed gives the same. Raises OutputError, SourceError."""
    if not cast:
        raise SourceError("nobody can be filmed: no face was found in any photograph")
    taken = scene(cast, filming, seed)
    record(taken, video, crf=filming.crf)
    try:
        GroundTruth.of(taken).save(truth)
    except OSError as error:
        raise OutputError(f"cannot write the truth {truth}: {error.strerror}") from error


def lay_out(gallery: Iterable[Portrait], folder: Path) -> Path:
    """Write photographs as `unblur enroll` takes them: FOLDER/<Name>/<photograph>.png. Raises OutputError."""
    try:
        for portrait in gallery:
            (folder / portrait.person).mkdir(parents=True, exist_ok=True)
            write_picture(folder / portrait.person / f"{Path(portrait.file).stem}.png", portrait.image)
    except OSError as error:
        raise OutputError(f"cannot write the photographs to {folder}: {error.strerror}") from error
    return folder


def make(people: Path, filming: ClipSettings, seed: int, every: int, out: Path) -> None:
    """clip.mp4 and truth.json of everybody in an archive or folder, and in people/ the photographs to enrol.

    Of the enrolled, and of strangers, each second, third ... only (`every`).
    Raises ModelError, OutputError, SourceError.
    """
    parts = roles(people, every)
    with download_bar() as downloads:
        detector = YuNet(load(fetch("yunet", progress=downloads)))
    known = walkers(one_each(parts["probe"]), detector, known=True)
    strangers = walkers(one_each(parts["strangers"]), detector, known=False)
    terminal.make_writable_folder(out)
    film(known + strangers, filming, seed, out / "clip.mp4", out / "truth.json")
    lay_out(parts["gallery"], out / "people")


def scene(cast: Sequence[Walker], filming: ClipSettings, seed: int) -> Scene:
    """Everybody of the cast walks by once, in an order drawn with the seed."""
    rng = np.random.default_rng(seed)
    passages, frames = _schedule([cast[place] for place in rng.permutation(len(cast))], filming, rng)
    occluders = tuple(_occluder(passage, rng) for passage in passages) if filming.occlusion else ()
    lighting = _lighting(frames) if filming.lighting else ((0.0, 1.0),)
    background = make_background(WIDTH, HEIGHT)
    return Scene(background, passages, frames, 30, filming.shutter, 2.0, seed, occluders, lighting)


def _schedule(
    cast: Sequence[Walker], filming: ClipSettings, rng: np.random.Generator
) -> tuple[tuple[WalkerPath, ...], int]:
    """Who walks when and where, the lower in the picture the nearer, and how many frames that takes."""
    size = 2 if filming.crossing else 1
    free = list(rng.uniform(0, LIT, max(1, filming.at_once // size)))
    passages: list[WalkerPath] = []
    for first in range(0, len(cast), size):
        lane = int(np.argmin(free))
        height = HEIGHT * (lane + 1) / (len(free) + 1)
        through = WIDTH * (rng.uniform(*MEETING) if filming.crossing else 0.5), height + rng.uniform(-SWAY, SWAY)
        group = [
            _passage(walker, filming.speed, (-1) ** (lane + place), through, rng)
            for place, walker in enumerate(cast[first : first + size])
        ]
        spans = [passage.span(WIDTH, HEIGHT) for passage in group]
        later = free[lane] - min(enter for enter, _ in spans)
        free[lane] = later + max(leave for _, leave in spans)
        passages += [replace(passage, at=later) for passage in group]
    return tuple(sorted(passages, key=lambda passage: passage.through[1])), math.ceil(max(free))


def _passage(
    walker: Walker, speed: Speed, way: int, through: tuple[float, float], rng: np.random.Generator
) -> WalkerPath:
    """Somebody whose face is at `through` at moment 0, give or take what two people differ in height."""
    pace, slope, width = rng.uniform(*SPEEDS[speed]), rng.uniform(-SLOPE, SLOPE), rng.uniform(*FACES)
    portrait = walker.portrait
    return WalkerPath(
        portrait.person,
        walker.known,
        portrait.file,
        cut(portrait.image, walker.face, width),
        (through[0], through[1] + rng.uniform(-0.15, 0.15) * width),
        (way * pace * math.cos(slope), pace * math.sin(slope)),
    )


def _occluder(passage: WalkerPath, rng: np.random.Generator) -> Occluder:
    """A grey board that passes before the face once, wherever that is in the picture then."""
    face = passage.face(0)
    width, height = BOARD[0] * face.width, BOARD[1] * face.height
    light = np.full((round(height), round(width), 4), rng.uniform(0.02, 0.2), np.float32)
    light[..., 3] = 1
    across, down = passage.velocity
    moment = passage.at + (WIDTH * rng.uniform(*MEETING) - passage.through[0]) / across
    overtaken = math.copysign((face.width + width) / rng.uniform(*HIDDEN), across)
    return Occluder(light, passage.face(moment).center, (across - overtaken, down), moment)


def _lighting(frames: int) -> tuple[tuple[float, float], ...]:
    """On, off, on and so on."""
    moments: list[tuple[float, float]] = [(0.0, 1.0)]
    for number, at in enumerate(range(LIT, frames, LIT)):
        before, after = (DIM, 1.0) if number % 2 else (1.0, DIM)
        moments += [(at, before), (at + SWITCHING, after)]
    return tuple(moments)
