"""Simulated clips: photographs of people move past a camera; the ground truth is written with the clip.

The camera is that of `stream.simulation.sensor`, at 720p30. Each person passes once. People move in lanes of
alternating direction, one after the other, so that no face is hidden unless `crossing` or `occlusion` is set.
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
from unblur.evaluate.data.datasets import Portrait, detect_portrait, read_roles
from unblur.terminal import download_bar

Speed = Literal["slow", "mixed", "fast"]
SPEEDS: Mapping[Speed, tuple[float, float]] = {"slow": (4, 6), "mixed": (4, 45), "fast": (22, 45)}
"""Pixels per frame, uniformly distributed."""
WIDTH, HEIGHT = 1280, 720
FACES = 55, 90
"""Smallest and largest width of a face, in pixels."""
SLOPE = math.radians(3)
"""Largest angle of a path, in radians."""
SWAY = 15
"""Largest distance of a path from the middle of its lane, in pixels."""
MEETING = 0.3, 0.7
"""Where faces meet or are occluded, as shares of the frame's width."""
HIDDEN = 10, 20
"""Frames for which an occluder touches a face."""
OCCLUDER_SIZE = 1.3, 2.0
"""Width and height of an occluder, relative to the face."""
LIGHT_PERIOD, LIGHT_TRANSITION, DIM_BRIGHTNESS = 60, 6, 0.2
"""Frames from one change of the light to the next, frames that a change takes, and the brightness while it is off."""


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """Settings of a simulated clip. `at_once`: the most people visible at a time. `crossing`: people come in pairs that
    cross, one in front of the other. `occlusion`: an object passes in front of each face. `lighting`: the light goes
    off and on. `shutter`: see `Scene.shutter`. `crf`: H.264 constant rate factor."""

    speed: Speed = "mixed"
    at_once: int = 4
    shutter: float = 0.6
    crossing: bool = False
    occlusion: bool = False
    lighting: bool = False
    crf: int = CRF


@dataclass(frozen=True, slots=True, eq=False)
class Walker:
    """A person of a clip: the photograph, the face's box in it, and whether the person is enrolled."""

    portrait: Portrait
    face: Box
    known: bool


def detect_walkers(portraits: Iterable[Portrait], detector: Detector, *, known: bool) -> list[Walker]:
    """Detect the face of each photograph; photographs without a face are left out."""
    detections = ((portrait, detect_portrait(detector, portrait.image)) for portrait in portraits)
    return [Walker(portrait, face.box, known) for portrait, face in detections if face]


def one_photograph_each(portraits: Iterable[Portrait], turn: int = 0) -> list[Portrait]:
    """Select one photograph of each person: number `turn`, modulo how many there are."""
    by_person: dict[str, list[Portrait]] = {}
    for portrait in portraits:
        by_person.setdefault(portrait.person, []).append(portrait)
    return [each[turn % len(each)] for each in by_person.values()]


def simulate_clip(walkers: Sequence[Walker], settings: ClipSettings, seed: int, video: Path, truth: Path) -> None:
    """Render the clip (MP4), then write its ground truth (JSON). The seed fixes both.

    Raises OutputError, SourceError.
    """
    if not walkers:
        raise SourceError("nobody can be filmed: no face was found in any photograph")
    scene = make_scene(walkers, settings, seed)
    record(scene, video, crf=settings.crf)
    try:
        GroundTruth.of(scene).save(truth)
    except OSError as error:
        raise OutputError(f"cannot write the truth {truth}: {error.strerror}") from error


def write_photographs(gallery: Iterable[Portrait], folder: Path) -> Path:
    """Write photographs as `unblur enroll` reads them: FOLDER/<Name>/<photograph>.png. Raises OutputError."""
    try:
        for portrait in gallery:
            (folder / portrait.person).mkdir(parents=True, exist_ok=True)
            write_picture(folder / portrait.person / f"{Path(portrait.file).stem}.png", portrait.image)
    except OSError as error:
        raise OutputError(f"cannot write the photographs to {folder}: {error.strerror}") from error
    return folder


def make_clip_folder(people: Path, settings: ClipSettings, seed: int, every: int, out: Path) -> None:
    """Write clip.mp4 and truth.json of the people of an archive or folder, and people/, the photographs to enroll.

    Takes every `every`-th of the enrolled and of the unknown people.
    Raises ModelError, OutputError, SourceError.
    """
    parts = read_roles(people, every)
    with download_bar() as downloads:
        detector = YuNet(load(fetch("yunet", progress=downloads)))
    known = detect_walkers(one_photograph_each(parts["probe"]), detector, known=True)
    unknown = detect_walkers(one_photograph_each(parts["strangers"]), detector, known=False)
    terminal.make_writable_folder(out)
    simulate_clip(known + unknown, settings, seed, out / "clip.mp4", out / "truth.json")
    write_photographs(parts["gallery"], out / "people")


def make_scene(walkers: Sequence[Walker], settings: ClipSettings, seed: int) -> Scene:
    """Make the scene: each person passes once, in random order."""
    rng = np.random.default_rng(seed)
    paths, frames = _plan_paths([walkers[index] for index in rng.permutation(len(walkers))], settings, rng)
    occluders = tuple(_make_occluder(path, rng) for path in paths) if settings.occlusion else ()
    lighting = _plan_lighting(frames) if settings.lighting else ((0.0, 1.0),)
    background = make_background(WIDTH, HEIGHT)
    return Scene(background, paths, frames, 30, settings.shutter, 2.0, seed, occluders, lighting)


def _plan_paths(
    walkers: Sequence[Walker], settings: ClipSettings, rng: np.random.Generator
) -> tuple[tuple[WalkerPath, ...], int]:
    """Plan the paths, from far to near (top to bottom of the frame), and count the frames that they take."""
    size = 2 if settings.crossing else 1
    free = list(rng.uniform(0, LIGHT_PERIOD, max(1, settings.at_once // size)))
    paths: list[WalkerPath] = []
    for first in range(0, len(walkers), size):
        lane = int(np.argmin(free))
        height = HEIGHT * (lane + 1) / (len(free) + 1)
        through = WIDTH * (rng.uniform(*MEETING) if settings.crossing else 0.5), height + rng.uniform(-SWAY, SWAY)
        group = [
            _make_path(walker, settings.speed, (-1) ** (lane + index), through, rng)
            for index, walker in enumerate(walkers[first : first + size])
        ]
        spans = [path.span(WIDTH, HEIGHT) for path in group]
        later = free[lane] - min(enter for enter, _ in spans)
        free[lane] = later + max(leave for _, leave in spans)
        paths += [replace(path, at=later) for path in group]
    return tuple(sorted(paths, key=lambda path: path.through[1])), math.ceil(max(free))


def _make_path(
    walker: Walker, speed: Speed, way: int, through: tuple[float, float], rng: np.random.Generator
) -> WalkerPath:
    """Make the path whose face is at `through` at frame 0, up to a random difference in height."""
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


def _make_occluder(path: WalkerPath, rng: np.random.Generator) -> Occluder:
    """Make a gray board that passes in front of the face once, at a random place."""
    face = path.face(0)
    width, height = OCCLUDER_SIZE[0] * face.width, OCCLUDER_SIZE[1] * face.height
    light = np.full((round(height), round(width), 4), rng.uniform(0.02, 0.2), np.float32)
    light[..., 3] = 1
    across, down = path.velocity
    moment = path.at + (WIDTH * rng.uniform(*MEETING) - path.through[0]) / across
    overtaken = math.copysign((face.width + width) / rng.uniform(*HIDDEN), across)
    return Occluder(light, path.face(moment).center, (across - overtaken, down), moment)


def _plan_lighting(frames: int) -> tuple[tuple[float, float], ...]:
    """Make the brightness curve: on and off in turn, as (frame, brightness)."""
    moments: list[tuple[float, float]] = [(0.0, 1.0)]
    for number, at in enumerate(range(LIGHT_PERIOD, frames, LIGHT_PERIOD)):
        before, after = (DIM_BRIGHTNESS, 1.0) if number % 2 else (1.0, DIM_BRIGHTNESS)
        moments += [(at, before), (at + LIGHT_TRANSITION, after)]
    return tuple(moments)
