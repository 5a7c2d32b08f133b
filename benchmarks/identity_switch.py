"""When does a track show somebody else? The bound of `recognize/track_template.py`, chosen on `val`.

    python -m benchmarks.identity_switch --data ../shared/data --out out/bodies    clips that lie there already are kept

Simulated clips of people of val/lfw160 who cross, and who are hidden for a while, at every class of speed; found,
followed and shortlisted as the program does, raw. A track's crops show other people than the one before where the truth
says so. For each bound: the crops that are put aside as doubtful, the tracks that are split where the truth does, those
that are split where it does not, and those that it would split but which are not (most of them: one crop is left of
one of the two).
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
from recognize.track_recognizer import view_of
from recognize.track_template import TrackTemplate
from stream.metrics import StageMetrics
from stream.results import FaceSample
from stream.simulation.ground_truth import GroundTruth
from stream.sources.factory import open_source
from stream.tracking.analyzer import FrameAnalyzer
from stream.values import Array, Restoration
from unblur.evaluate.data.clips import SPEEDS, ClipSettings, film, one_each, walkers
from unblur.evaluate.data.datasets import ARCHIVE, roles

BOUNDS = (0.2, 0.25, 0.3, 0.35, 0.4)
EVERY = 3
SEED = 77
REACH = 0.7
"""How far a track may lie from a face that it shows, in widths."""


class Crop(NamedTuple):
    """What a track shows: whose face by the truth (None: nobody's that is visible), and how it looks."""

    who: int | None
    embedding: Array
    restoration: Restoration


def clips(data: Path, out: Path, detector: YuNet) -> Iterator[tuple[Path, Path]]:
    """Each clip and its truth."""
    people = roles(data / "val" / ARCHIVE, EVERY)
    known = walkers(one_each(people["probe"]), detector, known=True)
    strangers = walkers(one_each(people["strangers"]), detector, known=False)[: len(known) // 2]
    for speed, crossing in product(SPEEDS, (True, False)):
        stem = out / f"{speed}-{'crossing' if crossing else 'occlusion'}"
        clip, truth = stem.with_suffix(".mp4"), stem.with_suffix(".json")
        if not truth.exists():
            film(known + strangers, ClipSettings(speed, crossing=crossing, occlusion=not crossing), SEED, clip, truth)
        yield clip, truth


def tracks(clip: Path, truth: GroundTruth, detector: YuNet, embedder: Embedder) -> list[list[Crop]]:
    """The crops of each track, as they are shortlisted."""
    eye = FrameAnalyzer(detector, FivePointAligner(), live=False, meter=StageMetrics())
    looks = [look for frame in open_source(str(clip)).frames() for look in eye.process(frame).samples]
    followed: dict[int, list[Crop]] = defaultdict(list)
    blurriness = BlurEstimator()
    for look in [*looks, *eye.flush()]:
        image = look.crop.image
        restoration = Restoration(look.crop, image, "none", blurriness.estimate(image).extent)
        followed[look.track.id].append(Crop(_who(look, truth), embedder.embed([image])[0], restoration))
    return list(followed.values())


def _who(look: FaceSample, truth: GroundTruth) -> int | None:
    """Whose face the track lies on, as the place of an appearance."""
    x, y = look.track.box.center
    near = {}
    for place, appearance in enumerate(truth.appearances):
        for seen in appearance.sightings:
            if seen.frame == look.moment.frame:
                left, top, width, height = seen.box
                near[place] = float(np.hypot(x - left - width / 2, y - top - height / 2)) / width
    nearest = min(near, key=lambda place: near[place], default=None)
    return nearest if nearest is not None and near[nearest] < REACH else None


class Splits(NamedTuple):
    """Doubtful crops, and tracks split rightly, wrongly, and not though they should have been."""

    doubtful: int
    right: int
    wrong: int
    missed: int


def splits(followed: Sequence[Sequence[Crop]]) -> Splits:
    """What becomes of tracks by the bound that is set."""
    counts = [_splits(crops) for crops in followed]
    return Splits(*np.sum(counts, 0).tolist())


def _splits(crops: Sequence[Crop]) -> Splits:
    gathered = TrackTemplate()
    bodies = [gathered.add(view_of(crop.restoration, crop.embedding, None)) for crop in crops]
    several = len({crop.who for crop in crops} - {None}) > 1
    split = "another" in bodies
    return Splits(bodies.count("doubtful"), split and several, split and not several, several and not split)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity_switch", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared data")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the clips")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    detector = YuNet(load(fetch("yunet")), min_confidence=IN_VIDEO)
    embedder = SFace(load(fetch("sface")), fingerprint("sface"))
    followed = [
        track
        for clip, truth in clips(chosen.data, chosen.out, detector)
        for track in tracks(clip, GroundTruth.load(truth), detector, embedder)
    ]
    print(f"{len(followed)} tracks, {sum(map(len, followed))} crops\n")
    print("| bound | crops put aside | split rightly | wrongly | not, of several people |\n|---|---|---|---|---|")
    for bound in BOUNDS:
        track_template.UNLIKE = bound
        print("| " + " | ".join(map(str, [bound, *splits(followed)])) + " |")


if __name__ == "__main__":
    main()
