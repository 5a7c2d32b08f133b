"""The way from a film to the crops that go to identification: what it finds and what it costs.

    python -m benchmarks.films YUNET.onnx FILM.mp4...

Looks: share of the frames that the detector saw. Sent: crops per second of film. Costs are milliseconds per frame on
one core. Alike: correlation of a face's look with its own in the frame before (5 of 100 lie below) and with others'
(median, and 5 of 100 lie above), and of the least alike pictures in succession.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from detectors.align import FivePointAligner
from detectors.yunet import IN_VIDEO, YuNet
from models.runtime import load
from stream import appearance
from stream.cadence import Cadence
from stream.data import Array, Frame
from stream.shortlist import Shortlist
from stream.track import Tracker


def frames(film: Path) -> Iterator[Frame]:
    with av.open(str(film)) as container:
        for index, each in enumerate(container.decode(video=0)):
            image = np.asarray(each.to_ndarray(format="bgr24"), np.uint8)
            if each.pts is not None and each.time_base:
                yield Frame(film.stem, index, each.pts, each.time_base, None, image)


class Walk:
    """One film through detector, tracker, aligner and shortlist."""

    def __init__(self, network: Path) -> None:
        self._detector = YuNet(load(network, "onnxruntime"), min_confidence=IN_VIDEO)
        self._aligner, self._tracker = FivePointAligner(), Tracker()
        self._cadence, self._shortlist = Cadence(), Shortlist()
        self.count: Counter[str] = Counter()
        self.tracks: set[int] = set()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._restless = False

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - began

    def step(self, frame: Frame) -> None:
        faces = None
        self.count["frames"] += 1
        if self._cadence.due(self._restless, frame.pts_s):
            self.count["looks"] += 1
            with self._timed("detect"):
                faces = self._detector.detect(frame.image)
        with self._timed("track"):
            update = self._tracker.update(frame, faces)
        self._restless = update.restless
        self.tracks |= {track.id for track in update.tracks}
        with self._timed("crop"):
            crops = [self._aligner.crop(frame, track) for track in update.tracks if track.detected]
            self.count["sent"] += sum(self._shortlist.offer(crop) is not None for crop in crops if crop)
        for track in update.ended:
            self.count["sent"] += self._shortlist.close(track.id) is not None


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
            self.pictures.append(1 - float(appearance.unlikeness([self._picture], [picture])[0, 0]))
        self._picture = picture
        faces = [
            (np.array(face.box.centre), face.box.width, appearance.of_face(frame.image, face.box))
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
        count = walk.count["frames"]
        costs = " | ".join(f"{1e3 * walk.seconds[stage] / count:.2f}" for stage in ("detect", "track", "crop"))
        least = ", ".join(f"{each:.2f}" for each in sorted(looks.pictures)[:4])
        print(
            f"| {film.stem} | {walk.count['looks'] / count:.0%} | {len(walk.tracks)} | "
            f"{walk.count['sent'] / last:.1f} | {costs} | {percentile(looks.same, 5)} | "
            f"{percentile(looks.other, 50)}, {percentile(looks.other, 95)} | {least} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
