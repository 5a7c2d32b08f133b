"""What YuNet makes of faces in motion: the figures that the tracker's constants and its benchmark rest on.

    python -m benchmarks.detection YUNET.onnx motion FACES.tar BACKGROUND.mp4
    python -m benchmarks.detection YUNET.onnx films FILM.mp4...

`films` counts detections by confidence in real film. `motion` makes film of its own: faces from a tar of 160 x 160
photographs (`val/lfw160.tar`), 55-90 px wide, move along straight lines before the first picture of a film. The shutter
is open for 0.6 of a frame, the exposure summed over steps of 1.5 pixels: the blur is true motion blur. A face
counts as found where a detection lies within 0.6 widths of the true place.
"""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.yunet import YuNet
from models.runtime import load
from stream.data import Array, Face, Frame, Image
from stream.track import Tracker

SPEEDS = (0, 3, 6, 12, 22, 30, 45)
"""Pixels per frame."""
CONFIDENCES = (0.3, 0.4, 0.65, 0.7, 0.8)
SHUTTER = 0.6
SIZE = (1280, 720)
FACE = 95 / 160
"""Width of the face, as YuNet boxes it, in those photographs' widths."""

Place = NDArray[np.float64]


def photographs(tar: Path) -> list[Image]:
    with tarfile.open(tar) as archive:
        files = [archive.extractfile(name) for name in sorted(archive.getnames()) if name.endswith(".jpg")]
        return [np.asarray(cv2.imdecode(np.frombuffer(file.read(), np.uint8), 1), np.uint8) for file in files if file]


def first_picture(film: Path) -> Image:
    with av.open(str(film)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="bgr24")
    return np.asarray(cv2.resize(picture, SIZE), np.uint8)


class Cutout:
    """A photograph scaled so that its face is `width` pixels wide, with a soft round edge."""

    def __init__(self, photograph: Image, width: float) -> None:
        scale = width / (FACE * photograph.shape[1])
        self.image = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
        axis = np.linspace(-1, 1, self.image.shape[0])
        self.opacity = ((1 - np.hypot(axis[:, None], axis)) / 0.15).clip(0, 1).astype(np.float32)[..., None]

    def over(self, background: Array, place: Place) -> Array:
        """The background with the cutout's top left corner at (x, y)."""
        size = background.shape[1], background.shape[0]
        shift = np.array([[1, 0, place[0]], [0, 1, place[1]]], np.float32)
        image, opacity = (cv2.warpAffine(part, shift, size) for part in (self.image, self.opacity))
        return np.asarray(background * (1 - opacity[..., None]) + image * opacity[..., None], np.float32)

    def exposed(self, background: Image, place: Place, velocity: Place) -> Image:
        """The picture taken while the cutout moves through `place` at `velocity` (pixels per frame)."""
        steps = int(np.hypot(*velocity) * SHUTTER / 1.5) + 1
        offsets = SHUTTER * ((np.arange(steps) + 0.5) / steps - 0.5)
        reach = int(np.abs(velocity).max()) + 2
        left, top = (np.floor(place).astype(int) - reach).clip(0)
        side = self.image.shape[0] + 2 * reach
        window = background[top : top + side, left : left + side].astype(np.float32)
        total = sum(self.over(window, place + offset * velocity - [left, top]) for offset in offsets)
        picture = background.copy()
        picture[top : top + side, left : left + side] = np.rint(total / steps)
        return picture


def middle(face: Face) -> Place:
    """As the tracker places it."""
    return np.asarray((np.array(face.box.centre) + face.landmarks.mean(0)) / 2, np.float64)


Look = tuple[float, Face | None, Place, int, complex | None]
"""A face's width in one picture, its detection, how far that lies from the truth, how many detections are false; and
the track's velocity over the true one (as complex numbers), from the third detection on."""


def passages(detector: YuNet, photos: list[Image], background: Image, speed: float, count: int) -> Iterator[Look]:
    """`count` faces on their way through the picture."""
    rng = np.random.default_rng(int(speed))
    for _ in range(count):
        width = rng.uniform(55, 90)
        cutout = Cutout(photos[rng.integers(len(photos))], width)
        still = detector.detect(cutout.exposed(background, np.array([600.0, 300.0]), np.zeros(2)))
        if not still:
            continue
        inner = middle(still[0]) - [600, 300]
        angle = rng.uniform(-0.4, 0.4) + np.pi * rng.integers(2)
        velocity = speed * np.array([np.cos(angle), np.sin(angle)])
        frames = int(min(20, 800 / max(speed, 1)))
        tracker = Tracker()
        for step in range(frames):
            place = np.array([640.0, 360.0]) - inner + velocity * (step - frames / 2)
            picture = cutout.exposed(background, place, velocity)
            faces = detector.detect(picture)
            near = [face for face in faces if np.hypot(*(middle(face) - place - inner)) < 0.6 * width]
            error = middle(near[0]) - place - inner if near else np.full(2, np.nan)
            tracks = tracker.update(Frame("passage", step, step, Fraction(1, 30), None, picture), faces).tracks
            told = [complex(*track.velocity) / complex(*velocity) for track in tracks if track.hits > 2 and speed]
            yield width, near[0] if near else None, error, len(faces) - len(near), told[0] if told else None


def row(speed: float, seen: list[Look]) -> str:
    confidences = np.array([face.confidence if face else 0 for _, face, *_ in seen])
    found = " | ".join(f"{np.mean(confidences >= limit):.2f}" for limit in CONFIDENCES)
    errors = np.array([error / width for width, face, error, *_ in seen if face])
    jitter = f"{errors[:, 0].std():.3f} / {errors[:, 1].std():.3f}"
    false = sum(each[3] for each in seen)
    told = np.array([each[4] for each in seen if each[4] is not None])
    turned, stretched = np.abs(np.degrees(np.angle(told))), np.abs(np.abs(told) - 1)
    return f"| {speed} | {found} | {jitter} | {false} | {spread(turned)} | {spread(100 * stretched)} | {len(seen)} |"


def spread(errors: Place) -> str:
    """Median / nine in ten."""
    return " / ".join(f"{each:.1f}" for each in np.percentile(errors, [50, 90])) if errors.size else "-"


def motion(detector: YuNet, faces: Path, background: Path, people: int) -> None:
    photos, picture = photographs(faces), first_picture(background)
    heads = [f"found at {limit}" for limit in CONFIDENCES] + ["jitter x / y, widths", "false"]
    heads += ["direction off, degrees", "length off, %", "pictures"]
    print(f"| px/frame | {' | '.join(heads)} |\n" + "|---" * (len(heads) + 1) + "|")
    for speed in SPEEDS:
        print(row(speed, list(passages(detector, photos, picture, speed, people))), flush=True)


def films(detector: YuNet, paths: list[Path]) -> None:
    print(f"| film | frames | {' | '.join(f'faces at {limit}' for limit in CONFIDENCES)} |")
    print("|---" * (len(CONFIDENCES) + 2) + "|")
    for path in paths:
        with av.open(str(path)) as container:
            pictures = (np.asarray(each.to_ndarray(format="bgr24"), np.uint8) for each in container.decode(video=0))
            found = [[face.confidence for face in detector.detect(picture)] for picture in pictures]
        confidences = np.array([confidence for each in found for confidence in each])
        counts = " | ".join(str(int((confidences >= limit).sum())) for limit in CONFIDENCES)
        print(f"| {path.stem} | {len(found)} | {counts} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    modes = parser.add_subparsers(dest="mode", required=True)
    moving = modes.add_parser("motion")
    moving.add_argument("faces", type=Path)
    moving.add_argument("background", type=Path)
    moving.add_argument("--people", type=int, default=12, help="per speed")
    modes.add_parser("films").add_argument("films", type=Path, nargs="+")
    chosen = parser.parse_args()
    detector = YuNet(load(chosen.network, "onnxruntime"), min_confidence=min(CONFIDENCES))
    if chosen.mode == "films":
        films(detector, chosen.films)
    else:
        motion(detector, chosen.faces, chosen.background, chosen.people)


if __name__ == "__main__":
    main()
