"""The way from a film to the crops that go to identification: what it finds and what it costs.

    python -m benchmarks.analyzer_cost YUNET.onnx FILM.mp4...

Looks: share of the frames that the detector saw. Sent: crops per second of film. Costs are milliseconds per frame on
one core. Alike: correlation of a face's look with its own in the frame before (5 of 100 lie below) and with others'
(median, and 5 of 100 lie above), and of the least alike pictures in succession.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from detectors.alignment import FivePointAligner
from detectors.yunet import IN_VIDEO, YuNet
from models.backends.selection import load
from stream.metrics import StageMetrics
from stream.tracking import appearance
from stream.tracking.analyzer import FrameAnalyzer
from stream.values import Array, Frame


def frames(film: Path) -> Iterator[Frame]:
    with av.open(str(film)) as container:
        for index, each in enumerate(container.decode(video=0)):
            image = np.asarray(each.to_ndarray(format="bgr24"), np.uint8)
            if each.pts is not None and each.time_base:
                yield Frame(film.stem, index, each.pts, each.time_base, None, image)


class Walk:
    """One film through detector, tracker, aligner and shortlist."""

    def __init__(self, network: Path) -> None:
        self._meter = StageMetrics()
        detector = YuNet(load(network, "onnxruntime"), min_confidence=IN_VIDEO)
        self._eye = FrameAnalyzer(detector, FivePointAligner(), live=False, meter=self._meter)
        self.frames = self.sent = 0
        self.tracks: set[int] = set()

    def step(self, frame: Frame) -> None:
        sighting = self._eye.process(frame)
        self.frames += 1
        self.sent += len(sighting.samples)
        self.tracks |= {track.id for track in sighting.tracks}

    def row(self, seconds: float) -> str:
        """Looks, tracks, crops sent a second, and what each stage costs."""
        reading = self._meter.read()
        costs = [f"{1e3 * reading.seconds[stage] / self.frames:.2f}" for stage in ("detect", "track", "crop")]
        looks = f"{reading.counts['detections'] / self.frames:.0%}"
        return " | ".join([looks, str(len(self.tracks)), f"{self.sent / seconds:.1f}", *costs])


class Looks:
    """How alike faces and pictures are from one frame to the next."""

    def __init__(self, network: Path) -> None:
        self._detector = YuNet(load(network, "onnxruntime"))
        self._faces: list[tuple[Array, float, Array]] = []
        self._picture: Array | None = None
        self.same: list[float] = []
        self.other: list[float] = []
        self.pictures: list[float] = []

    def step(self, frame: Frame) -> None:
        picture = appearance.of_picture(frame.image)
        if self._picture is not None:
            self.pictures.append(1 - float(appearance.appearance_distance([self._picture], [picture])[0, 0]))
        self._picture = picture
        faces = [
            (np.array(face.box.center), face.box.width, appearance.of_face(frame.image, face.box))
            for face in self._detector.detect(frame.image)
        ]
        for place, width, pattern in faces:
            for before, _, pattern_before in self._faces:
                apart = float(np.hypot(*(place - before))) / width
                if pattern.any() and pattern_before.any() and not 0.15 < apart < 1:
                    (self.same if apart <= 0.15 else self.other).append(float(pattern @ pattern_before))
        self._faces = faces


def percentile(values: list[float], rank: float) -> str:
    return f"{np.percentile(values, rank):.2f}" if values else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("films", type=Path, nargs="+")
    chosen = parser.parse_args()
    print(
        "| film | looks | tracks | sent | detect | track | crop | alike: itself | others | pictures |\n"
        + "|---" * 10
        + "|"
    )
    for film in chosen.films:
        walk, looks, last = Walk(chosen.network), Looks(chosen.network), 0.0
        for frame in frames(film):
            walk.step(frame)
            looks.step(frame)
            last = frame.pts_s
        least = ", ".join(f"{each:.2f}" for each in sorted(looks.pictures)[:4])
        print(
            f"| {film.stem} | {walk.row(last)} | {percentile(looks.same, 5)} | "
            f"{percentile(looks.other, 50)}, {percentile(looks.other, 95)} | {least} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
