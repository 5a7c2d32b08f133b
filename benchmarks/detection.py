"""Accuracy of YuNet on moving faces: the basis of the tracker's constants and of its benchmark.

    python -m benchmarks.detection YUNET.onnx motion FACES.tar BACKGROUND.mp4
    python -m benchmarks.detection YUNET.onnx clips CLIP.mp4...
    python -m benchmarks.detection YUNET.onnx sizes FACES.tar

`clips` counts detections by confidence in recorded clips. `motion` simulates: faces from a tar of 160 x 160 photographs
(`val/lfw160.tar`), 55-90 px wide, move along straight lines in front of a clip's first frame. The shutter is open for
0.6 of a frame, and the exposure is summed over steps of 1.5 pixels: true motion blur. A face counts as found if a
detection lies within 0.6 widths of the true position. `sizes` puts the same photographs, one per image, without motion
and at every size, into large images, and counts the faces found at one scale and with tiles.
"""

from __future__ import annotations

import argparse
import tarfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.yunet import IN_STILLS, YuNet
from models.backends.selection import NetworkSession, load
from stream.interfaces import Detector
from stream.tracking.tiled_detection import TiledDetector
from stream.tracking.tracker import Tracker
from stream.values import Array, FaceDetection, Frame, Image

SPEEDS = (0, 3, 6, 12, 22, 30, 45)
"""Pixels per frame."""
CONFIDENCES = (0.3, 0.4, 0.65, 0.7, 0.8)
SHUTTER = 0.6
SIZE = (1280, 720)
FACE = 95 / 160
"""Width of the face, as YuNet boxes it, in those photographs' widths."""

Position = NDArray[np.float64]


def read_photographs(tar: Path) -> list[Image]:
    """Read the archive's photographs, sorted by name."""
    with tarfile.open(tar) as archive:
        files = [archive.extractfile(name) for name in sorted(archive.getnames()) if name.endswith(".jpg")]
        return [np.asarray(cv2.imdecode(np.frombuffer(file.read(), np.uint8), 1), np.uint8) for file in files if file]


def read_first_frame(clip: Path) -> Image:
    """Read a clip's first frame, at `SIZE`."""
    with av.open(str(clip)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="bgr24")
    return np.asarray(cv2.resize(picture, SIZE), np.uint8)


class FaceCutout:
    """A photograph scaled so that its face is `width` pixels wide, with a soft round edge."""

    def __init__(self, photograph: Image, width: float) -> None:
        scale = width / (FACE * photograph.shape[1])
        self.image = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
        axis = np.linspace(-1, 1, self.image.shape[0])
        self.opacity = ((1 - np.hypot(axis[:, None], axis)) / 0.15).clip(0, 1).astype(np.float32)[..., None]

    def paste(self, background: Array, place: Position) -> Array:
        """Paste the cutout into the background, its top left corner at (x, y)."""
        size = background.shape[1], background.shape[0]
        shift = np.array([[1, 0, place[0]], [0, 1, place[1]]], np.float32)
        image, opacity = (cv2.warpAffine(part, shift, size) for part in (self.image, self.opacity))
        return np.asarray(background * (1 - opacity[..., None]) + image * opacity[..., None], np.float32)

    def expose(self, background: Image, place: Position, velocity: Position) -> Image:
        """Render the frame in which the cutout moves through `place` at `velocity` (pixels per frame)."""
        steps = int(np.hypot(*velocity) * SHUTTER / 1.5) + 1
        offsets = SHUTTER * ((np.arange(steps) + 0.5) / steps - 0.5)
        reach = int(np.abs(velocity).max()) + 2
        left, top = (np.floor(place).astype(int) - reach).clip(0)
        side = self.image.shape[0] + 2 * reach
        window = background[top : top + side, left : left + side].astype(np.float32)
        total = sum(self.paste(window, place + offset * velocity - [left, top]) for offset in offsets)
        picture = background.copy()
        picture[top : top + side, left : left + side] = np.rint(total / steps)
        return picture


def center(face: FaceDetection) -> Position:
    """Compute the center of a face as the tracker does."""
    return np.asarray((np.array(face.box.center) + face.landmarks.mean(0)) / 2, np.float64)


PassageFrame = tuple[float, FaceDetection | None, Position, int, complex | None]
"""One frame: the face's width, its detection, the error of its position, the number of false detections; and the ratio
of the track's velocity to the true one (as complex numbers), from the third detection on."""


def simulate_passages(
    detector: YuNet, photos: list[Image], background: Image, speed: float, count: int
) -> Iterator[PassageFrame]:
    """Simulate `count` faces that move through the frame, and detect and track each."""
    rng = np.random.default_rng(int(speed))
    for _ in range(count):
        width = rng.uniform(55, 90)
        cutout = FaceCutout(photos[rng.integers(len(photos))], width)
        still = detector.detect(cutout.expose(background, np.array([600.0, 300.0]), np.zeros(2)))
        if not still:
            continue
        inner = center(still[0]) - [600, 300]
        angle = rng.uniform(-0.4, 0.4) + np.pi * rng.integers(2)
        velocity = speed * np.array([np.cos(angle), np.sin(angle)])
        frames = int(min(20, 800 / max(speed, 1)))
        tracker = Tracker()
        for step in range(frames):
            place = np.array([640.0, 360.0]) - inner + velocity * (step - frames / 2)
            picture = cutout.expose(background, place, velocity)
            faces = detector.detect(picture)
            near = [face for face in faces if np.hypot(*(center(face) - place - inner)) < 0.6 * width]
            error = center(near[0]) - place - inner if near else np.full(2, np.nan)
            tracks = tracker.update(Frame("passage", step, step, Fraction(1, 30), None, picture), faces).tracks
            ratios = [complex(*track.velocity) / complex(*velocity) for track in tracks if track.hits > 2 and speed]
            yield width, near[0] if near else None, error, len(faces) - len(near), ratios[0] if ratios else None


def row(speed: float, results: list[PassageFrame]) -> str:
    confidences = np.array([face.confidence if face else 0 for _, face, *_ in results])
    shares = " | ".join(f"{np.mean(confidences >= limit):.2f}" for limit in CONFIDENCES)
    errors = np.array([error / width for width, face, error, *_ in results if face])
    jitter = f"{errors[:, 0].std():.3f} / {errors[:, 1].std():.3f}"
    false = sum(each[3] for each in results)
    ratios = np.array([each[4] for each in results if each[4] is not None])
    direction_errors, length_errors = np.abs(np.degrees(np.angle(ratios))), np.abs(np.abs(ratios) - 1)
    velocity = f"{spread(direction_errors)} | {spread(100 * length_errors)}"
    return f"| {speed} | {shares} | {jitter} | {false} | {velocity} | {len(results)} |"


def spread(errors: Position) -> str:
    """Format median / 90th percentile."""
    return " / ".join(f"{each:.1f}" for each in np.percentile(errors, [50, 90])) if errors.size else "-"


def motion(detector: YuNet, faces: Path, background: Path, people: int) -> None:
    photos, picture = read_photographs(faces), read_first_frame(background)
    heads = [f"found at {limit}" for limit in CONFIDENCES] + ["jitter x / y, widths", "false"]
    heads += ["direction off, degrees", "length off, %", "frames"]
    print(f"| px/frame | {' | '.join(heads)} |\n" + "|---" * (len(heads) + 1) + "|")
    for speed in SPEEDS:
        print(row(speed, list(simulate_passages(detector, photos, picture, speed, people))), flush=True)


def count_detections(detector: YuNet, paths: list[Path]) -> None:
    print(f"| clip | frames | {' | '.join(f'faces at {limit}' for limit in CONFIDENCES)} |")
    print("|---" * (len(CONFIDENCES) + 2) + "|")
    for path in paths:
        with av.open(str(path)) as container:
            pictures = (np.asarray(each.to_ndarray(format="bgr24"), np.uint8) for each in container.decode(video=0))
            confidences_by_frame = [[face.confidence for face in detector.detect(picture)] for picture in pictures]
        confidences = np.array([confidence for each in confidences_by_frame for confidence in each])
        counts = " | ".join(str(int((confidences >= limit).sum())) for limit in CONFIDENCES)
        print(f"| {path.stem} | {len(confidences_by_frame)} | {counts} |", flush=True)


PICTURES = ((3840, 2160), (1920, 1080), (1280, 720))
WIDTHS = (20, 30, 40, 60, 100, 300)
HEADS = (0.5, 0.75)
"""Widths of a face, in pixels and in heights of the image."""


def make_wall(size: tuple[int, int]) -> Image:
    """Make an image of a patterned wall, without a face."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    waves = [120 + 40 * np.sin(columns / 37), 130 + 30 * np.sin(rows / 23), 110 + (columns // 40 + rows // 40) % 2 * 30]
    return np.stack(waves, -1).astype(np.uint8)


def paste_face(background: Image, photograph: Image, width: float, rng: np.random.Generator) -> tuple[Image, Position]:
    """Paste a photograph whose face is `width` pixels wide; return the image and the face's center."""
    scale = width / (FACE * photograph.shape[1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    photo = np.asarray(cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=method), np.uint8)
    side, (height, long) = photo.shape[0], background.shape[:2]
    if side > height:
        photo = photo[(side - height) // 2 :][:height, (side - min(side, long)) // 2 :][:, :long]
    left = int(rng.integers(0, long - photo.shape[1] + 1))
    top = int(rng.integers(0, height - photo.shape[0] + 1))
    picture = background.copy()
    picture[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
    return picture, np.array([left + photo.shape[1] / 2, top + photo.shape[0] / 2])


def measure_detection(
    detector: Detector, pictures: list[tuple[Image, Position]], width: float
) -> tuple[float, float, float]:
    """Measure the share of faces found, false detections per image, and CPU milliseconds per image."""
    hits = false = 0
    began = time.process_time()
    for picture, place in pictures:
        near = [np.hypot(*(np.array(face.box.center) - place)) < 0.6 * width for face in detector.detect(picture)]
        hits += any(near)
        false += len(near) - sum(near)
    return hits / len(pictures), false / len(pictures), 1000 * (time.process_time() - began) / len(pictures)


def sizes(session: NetworkSession, faces: Path, people: int) -> None:
    cv2.setNumThreads(1)
    photos = read_photographs(faces)
    detectors: dict[str, Detector] = {
        f"one scale, {side}": YuNet(session, long_side=side, min_confidence=IN_STILLS) for side in (640, 1920)
    }
    detectors["tiles, 640"] = TiledDetector(YuNet(session, long_side=640, min_confidence=IN_STILLS))
    print("| image | face, px | " + " | ".join(f"{name}: found / false / ms" for name in detectors) + " |")
    print("|---" * (len(detectors) + 2) + "|")
    for size in PICTURES:
        background = make_wall(size)
        for width in (*WIDTHS, *(round(share * size[1]) for share in HEADS)):
            rng = np.random.default_rng(width)
            selected = [photos[index] for index in rng.integers(0, len(photos), people)]
            pictures = [paste_face(background, photo, width, rng) for photo in selected]
            cells = (
                "{:.2f} / {:.2f} / {:.0f}".format(*measure_detection(each, pictures, width))
                for each in detectors.values()
            )
            print(f"| {size[0]} x {size[1]} | {width} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    modes = parser.add_subparsers(dest="mode", required=True)
    moving = modes.add_parser("motion")
    moving.add_argument("faces", type=Path)
    moving.add_argument("background", type=Path)
    moving.add_argument("--people", type=int, default=12, help="per speed")
    modes.add_parser("clips").add_argument("clips", type=Path, nargs="+")
    sized = modes.add_parser("sizes")
    sized.add_argument("faces", type=Path)
    sized.add_argument("--people", type=int, default=12, help="per size")
    arguments = parser.parse_args()
    session = load(arguments.network, "onnxruntime")
    detector = YuNet(session, min_confidence=min(CONFIDENCES))
    if arguments.mode == "sizes":
        sizes(session, arguments.faces, arguments.people)
    elif arguments.mode == "clips":
        count_detections(detector, arguments.clips)
    else:
        motion(detector, arguments.faces, arguments.background, arguments.people)


if __name__ == "__main__":
    main()
