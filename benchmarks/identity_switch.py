"""Chooses, on `val`, the bound for identity switches of `recognize/track_template.py`.

    python -m benchmarks.identity_switch --data ../shared/data --out out/switches    existing clips are used again

Simulated clips of people of val/lfw160 who cross, and who are occluded for a while, at every class of speed. Detection,
tracking and crop selection as in the program, without restoration. The ground truth says which person a crop shows. For
each bound: the crops set aside as doubtful, and the tracks split rightly, split wrongly, and not split although they
show several people (most of these have only one crop of one of the two).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deblur.blur_estimation import BlurEstimator
from detectors.alignment import FivePointAligner
from detectors.yunet import IN_VIDEO, YuNet
from models.assets.fetch import fetch, fingerprint
from models.backends.selection import load
from recognize import track_template
from recognize.embedders.embedder import Embedder
from recognize.embedders.sface import SFace
from recognize.track_recognizer import make_probe_sample
from recognize.track_template import TrackTemplate
from stream.metrics import StageMetrics
from stream.results import FaceSample
from stream.simulation.ground_truth import GroundTruth
from stream.sources.factory import open_source
from stream.tracking.analyzer import FrameAnalyzer
from stream.values import Array, Restoration
from unblur.evaluate.data.clips import SPEEDS, ClipSettings, detect_walkers, one_photograph_each, simulate_clip
from unblur.evaluate.data.datasets import ARCHIVE, read_roles

BOUNDS = (0.2, 0.25, 0.3, 0.35, 0.4)
EVERY = 3
SEED = 77
REACH = 0.7
"""Largest distance of a track from the face that it shows, in widths."""


class LabeledCrop(NamedTuple):
    """A crop of a track with its true person (None: no visible face), embedding and restoration."""

    person: int | None
    embedding: Array
    restoration: Restoration


def make_clips(data: Path, out: Path, detector: YuNet) -> Iterator[tuple[Path, Path]]:
    """Simulate the clips that do not exist; yield each clip and its ground truth."""
    people = read_roles(data / "val" / ARCHIVE, EVERY)
    known = detect_walkers(one_photograph_each(people["probe"]), detector, known=True)
    non_mated = detect_walkers(one_photograph_each(people["strangers"]), detector, known=False)[: len(known) // 2]
    for speed, crossing in product(SPEEDS, (True, False)):
        stem = out / f"{speed}-{'crossing' if crossing else 'occlusion'}"
        clip, truth = stem.with_suffix(".mp4"), stem.with_suffix(".json")
        if not truth.exists():
            simulate_clip(
                known + non_mated, ClipSettings(speed, crossing=crossing, occlusion=not crossing), SEED, clip, truth
            )
        yield clip, truth


def label_tracks(clip: Path, truth: GroundTruth, detector: YuNet, embedder: Embedder) -> list[list[LabeledCrop]]:
    """Run a clip through analyzer and embedder; return the selected crops of each track."""
    analyzer = FrameAnalyzer(detector, FivePointAligner(), live=False, meter=StageMetrics())
    samples = [sample for frame in open_source(str(clip)).frames() for sample in analyzer.process(frame).samples]
    tracks: dict[int, list[LabeledCrop]] = defaultdict(list)
    blurriness = BlurEstimator()
    for sample in [*samples, *analyzer.flush()]:
        image = sample.crop.image
        restoration = Restoration(sample.crop, image, "none", blurriness.estimate(image).extent)
        tracks[sample.track.id].append(
            LabeledCrop(_find_person(sample, truth), embedder.embed([image])[0], restoration)
        )
    return list(tracks.values())


def _find_person(sample: FaceSample, truth: GroundTruth) -> int | None:
    """Find the appearance whose face the track covers, as its index."""
    x, y = sample.track.box.center
    near = {}
    for index, appearance in enumerate(truth.appearances):
        for box in appearance.sightings:
            if box.frame == sample.moment.frame:
                left, top, width, height = box.box
                near[index] = float(np.hypot(x - left - width / 2, y - top - height / 2)) / width
    nearest = min(near, key=lambda index: near[index], default=None)
    return nearest if nearest is not None and near[nearest] < REACH else None


class SplitCounts(NamedTuple):
    """Counts of doubtful crops, and of tracks split rightly, split wrongly, and not split by mistake."""

    doubtful: int
    right: int
    wrong: int
    missed: int


def count_splits(tracks: Sequence[Sequence[LabeledCrop]]) -> SplitCounts:
    """Count the splits at the bound that is set."""
    counts = [_count_splits(crops) for crops in tracks]
    return SplitCounts(*np.sum(counts, 0).tolist())


def _count_splits(crops: Sequence[LabeledCrop]) -> SplitCounts:
    template = TrackTemplate()
    continuities = [template.add(make_probe_sample(crop.restoration, crop.embedding, None)) for crop in crops]
    several = len({crop.person for crop in crops} - {None}) > 1
    split = "another" in continuities
    return SplitCounts(continuities.count("doubtful"), split and several, split and not several, several and not split)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity_switch", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared data")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the clips")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    detector = YuNet(load(fetch("yunet")), min_confidence=IN_VIDEO)
    embedder = SFace(load(fetch("sface")), fingerprint("sface"))
    tracks = [
        track
        for clip, truth in make_clips(arguments.data, arguments.out, detector)
        for track in label_tracks(clip, GroundTruth.load(truth), detector, embedder)
    ]
    print(f"{len(tracks)} tracks, {sum(map(len, tracks))} crops\n")
    print("| bound | crops put aside | split rightly | wrongly | not, of several people |\n|---|---|---|---|---|")
    for bound in BOUNDS:
        track_template.UNLIKE = bound
        print("| " + " | ".join(map(str, [bound, *count_splits(tracks)])) + " |")


if __name__ == "__main__":
    main()
