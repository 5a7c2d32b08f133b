"""Results and cost of the stages before identification: detection, tracking and crop selection.

    python -m benchmarks.analyzer_cost YUNET.onnx CLIP.mp4...

Detected: share of the frames that the detector processed. Sent: crops per second of the clip. Costs are milliseconds
per frame on one core. Similarity: correlation of a face's appearance with its own in the frame before (5th percentile)
and with other faces' (median, 95th percentile), and of the least similar successive frames.
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


def frames(clip: Path) -> Iterator[Frame]:
    """Decode the clip."""
    with av.open(str(clip)) as container:
        for index, each in enumerate(container.decode(video=0)):
            image = np.asarray(each.to_ndarray(format="bgr24"), np.uint8)
            if each.pts is not None and each.time_base:
                yield Frame(clip.stem, index, each.pts, each.time_base, None, image)


class AnalyzerRun:
    """One clip through detector, tracker, aligner and crop selector."""

    def __init__(self, network: Path) -> None:
        self._metrics = StageMetrics()
        detector = YuNet(load(network, "onnxruntime"), min_confidence=IN_VIDEO)
        self._analyzer = FrameAnalyzer(detector, FivePointAligner(), live=False, meter=self._metrics)
        self.frames = self.sent = 0
        self.tracks: set[int] = set()

    def step(self, frame: Frame) -> None:
        result = self._analyzer.process(frame)
        self.frames += 1
        self.sent += len(result.samples)
        self.tracks |= {track.id for track in result.tracks}

    def row(self, seconds: float) -> str:
        """Format the share of frames detected, tracks, crops sent per second, and the cost of each stage."""
        snapshot = self._metrics.read()
        costs = [f"{1e3 * snapshot.seconds[stage] / self.frames:.2f}" for stage in ("detect", "track", "crop")]
        detected = f"{snapshot.counts['detections'] / self.frames:.0%}"
        return " | ".join([detected, str(len(self.tracks)), f"{self.sent / seconds:.1f}", *costs])


class AppearanceSimilarity:
    """Similarity of faces and frames from one frame to the next."""

    def __init__(self, network: Path) -> None:
        self._detector = YuNet(load(network, "onnxruntime"))
        self._faces: list[tuple[Array, float, Array]] = []
        self._frame: Array | None = None
        self.same: list[float] = []
        self.other: list[float] = []
        self.frames: list[float] = []

    def step(self, frame: Frame) -> None:
        pattern = appearance.of_picture(frame.image)
        if self._frame is not None:
            self.frames.append(1 - float(appearance.appearance_distance([self._frame], [pattern])[0, 0]))
        self._frame = pattern
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
    parser.add_argument("clips", type=Path, nargs="+")
    arguments = parser.parse_args()
    print(
        "| clip | detected | tracks | sent | detect | track | crop | similarity: itself | others | frames |\n"
        + "|---" * 10
        + "|"
    )
    for clip in arguments.clips:
        run, similarity, last = AnalyzerRun(arguments.network), AppearanceSimilarity(arguments.network), 0.0
        for frame in frames(clip):
            run.step(frame)
            similarity.step(frame)
            last = frame.pts_s
        least = ", ".join(f"{each:.2f}" for each in sorted(similarity.frames)[:4])
        print(
            f"| {clip.stem} | {run.row(last)} | {percentile(similarity.same, 5)} | "
            f"{percentile(similarity.other, 50)}, {percentile(similarity.other, 95)} | {least} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
