"""What may a restored face say about who it is? The rule that weighs it against the raw one, chosen on `val`.

    python -m benchmarks.restoration_fusion --data ../shared/data                       the network of unblur
    python -m benchmarks.restoration_fusion --data ../shared/data --network other.onnx  another one

The people of `unblur evaluate identify` on val/lfw160, under every one of its conditions, cropped by the sharp face's
points, restored behind the gate, and embedded by SFace. Then galleries of people drawn at random: who is in it is
known, everybody else a stranger. At the product's own threshold for that many people: the shares of known people named
rightly (DIR) and wrongly, and of strangers given a name (FPIR).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.alignment import align
from detectors.yunet import IN_VIDEO, YuNet
from models.assets import manifest
from models.assets.fetch import fetch, fingerprint
from models.backends.selection import load
from recognize import restoration_fusion
from recognize.embedders.embedder import normalize
from recognize.embedders.sface import SFace
from recognize.gallery.calibration import threshold_for
from stream.values import Array, Restoration
from unblur.evaluate.data.blur_conditions import Condition, Shot, load_conditions
from unblur.evaluate.data.datasets import ARCHIVE, DatasetSplit, Photograph, load_split
from unblur.evaluate.experiments.methods import (
    NETWORK,
    RICHARDSON_LUCY,
    DeblurrerFactories,
    Probe,
    deblurrer_factories,
    make_probe,
    make_rows,
)
from unblur.evaluate.experiments.settings import run_parallel
from unblur.evaluate.reporting.run_record import record_run

GALLERY = 60
NOBODY = -1
"""The place among the people of who is never enrolled."""
DRAWS = 40
SHARP, RAW = "none", "raw"
PRODUCT = "the product's"
EVENS = (5.0, 10.0, 15.0)
CAUTIONS = (0.0, 0.02, 0.04, 0.06)
MARGINS = (0.0, 0.05, 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The people who are shown under one condition: embeddings (N x 128) of their raw and restored crops (a crop left
    alone has its own twice), and the extents of their blur (N; 0 where a crop was left alone)."""

    raw: Array
    restored: Array
    blur: Array


Compare = Callable[[Array], Array]
"""From embeddings (N x 128) to their similarities to everybody enrolled (N x P)."""
Score = Callable[[Shown, Compare], Array]
"""The similarities (N x P) that decide, at a threshold for sharp crops."""


class Rule(NamedTuple):
    """With `veto` nobody is named whom the raw crop contradicts."""

    score: Score
    veto: bool = False


def raw(shown: Shown, compare: Compare) -> Array:
    return compare(shown.raw)


def restored(shown: Shown, compare: Compare) -> Array:
    return compare(shown.restored)


def both(shown: Shown, compare: Compare) -> Array:
    """Kittler et al., "On combining classifiers", PAMI 1998: the sum rule."""
    return (compare(shown.raw) + compare(shown.restored)) / np.float32(2)


def larger(margin: float) -> Score:
    """The restored crop has to be more similar by a margin."""
    return lambda shown, compare: np.maximum(compare(shown.raw), compare(shown.restored) - np.float32(margin))


def mixed(even: float, caution: float = 0.0) -> Score:
    """The mean embedding, in which the restored crop weighs the more the more blurred the raw one is; the more it
    weighs, the more similar it has to be."""

    def score(shown: Shown, compare: Compare) -> Array:
        squared = np.square(shown.blur)[:, None]
        weight = squared / (squared + np.float32(even) ** 2)
        mean = normalize(np.asarray((1 - weight) * shown.raw + weight * shown.restored, np.float32))
        return np.asarray(compare(mean) - np.float32(caution) * weight, np.float32)

    return score


def product(shown: Shown, compare: Compare) -> Array:
    """As `recognize` has it."""
    return (
        compare(restoration_fusion.fused(shown.raw, shown.restored, shown.blur))
        - restoration_fusion.still_threshold_offset(shown.blur)[:, None]
    )


RULES: Mapping[str, Rule] = {
    RAW: Rule(raw),
    "restored": Rule(restored),
    "restored, veto": Rule(restored, veto=True),
    "mean of both similarities": Rule(both),
    **{f"larger, restored less {margin:g}": Rule(larger(margin)) for margin in MARGINS},
    **{f"even at {even:g} px": Rule(mixed(even)) for even in EVENS},
    **{
        f"even at {even:g} px, veto, caution {most:g}": Rule(mixed(even, most), veto=True)
        for even in EVENS
        for most in CAUTIONS
    },
    PRODUCT: Rule(product, veto=True),
}
"""`even at`: the mean embedding, in which both crops weigh alike at that blur."""


class Shares(NamedTuple):
    """Of known people named rightly and wrongly, and of strangers given a name."""

    right: float
    wrong: float
    strangers: float


class Study:
    """The people of a cast, enrolled and shown, and the galleries drawn from those who can be enrolled."""

    def __init__(self, who: DatasetSplit, embedder: SFace) -> None:
        self._shown = [*who.probes, *who.non_mated]
        self._labels = np.concatenate([who.labels(who.probes), np.full(len(who.non_mated), NOBODY)])
        self._embedder = embedder
        self._owners = who.labels(who.gallery)
        self._gallery = embedder.embed([align(each.image, each.landmarks)[0] for each in who.gallery])
        rng, people = np.random.default_rng(0), len(who.people)
        self.size = min(GALLERY, people // 2)
        self._draws = [np.sort(rng.permutation(people)[: self.size]) for _ in range(DRAWS)]

    def under(self, condition: Condition, deblurrers: DeblurrerFactories) -> dict[str, Shown]:
        """What is seen of everybody, by the rows of the deblurrers."""
        shots = condition.make_shots([each.image for each in self._shown], seed=0)
        probes = [_probe(*each) for each in zip(shots, self._shown, strict=True)]
        raw = self._embedder.embed([each.crop.image for each in probes])
        rows = make_rows(list(deblurrers), deblurrers, condition.straight)
        return {name: self._seen(raw, restore(probes)) for name, restore in rows.items()}

    def _seen(self, raw: Array, restorations: Sequence[Restoration]) -> Shown:
        restored = raw.copy()
        changed = [place for place, each in enumerate(restorations) if each.method != "none"]
        restored[changed] = self._embedder.embed([restorations[place].image for place in changed])
        return Shown(
            raw, restored, np.array([0 if each.method == "none" else each.blur for each in restorations], np.float32)
        )

    def shares(self, rule: Rule, shown: Shown) -> Shares:
        """At the product's own threshold, over all draws."""
        scores, seen = rule.score(shown, self._similarities), self._similarities(shown.raw)
        counted = [
            self._counts(scores[:, drawn], seen[:, drawn] if rule.veto else None, drawn) for drawn in self._draws
        ]
        right, wrong, strangers = np.sum(counted, 0)
        known = sum(np.isin(self._labels, drawn).sum() for drawn in self._draws)
        return Shares(right / known, wrong / known, strangers / (DRAWS * len(self._labels) - known))

    def _counts(self, scores: Array, seen: Array | None, drawn: NDArray[np.intp]) -> tuple[int, int, int]:
        named = scores.max(1) >= threshold_for(len(drawn))
        if seen is not None:
            named &= restoration_fusion.not_contradicted_by_raw(scores, seen)
        right, known = drawn[scores.argmax(1)] == self._labels, np.isin(self._labels, drawn)
        return int((named & right).sum()), int((named & known & ~right).sum()), int((named & ~known).sum())

    def _similarities(self, embeddings: Array) -> Array:
        """To everybody's nearest photograph; the gallery lies in the people's order."""
        starts = np.flatnonzero(np.diff(self._owners, prepend=-1))
        return np.maximum.reduceat(embeddings @ self._gallery.T, starts, axis=1)


def _probe(shot: Shot, photograph: Photograph) -> Probe:
    image, matrix = align(shot.image, photograph.landmarks)
    return make_probe(image, matrix, shot.kernel, shot.motion)


Found = Mapping[str, Mapping[str, Shares]]
"""Shares by rule and condition."""


def best(found: Found) -> str:
    """The rule that names most people rightly, among those that under no blur name more strangers than the raw crops of
    sharp faces do, nor more people wrongly than the raw crops under any blur."""
    strangers = found[RAW][SHARP].strangers
    wrong = max(share.wrong for share in found[RAW].values())
    sound = {
        rule: np.mean([share.right for share in row.values()])
        for rule, row in found.items()
        if all(share.strangers <= strangers and share.wrong <= wrong for share in row.values())
    }
    return max(sound, key=lambda rule: sound[rule], default=RAW)


def candidates(found: Found) -> str:
    """All rules, over all blurs; what is worst is under one of them."""
    head = (
        "| rule | right: sharp | mean of blurs | wrong: mean | worst | strangers: sharp | mean | worst |\n|"
        + "---|" * 8
    )
    return "\n".join([head, *(_candidate(rule, row) for rule, row in found.items())])


def _candidate(rule: str, row: Mapping[str, Shares]) -> str:
    right, wrong, strangers = np.transpose([share for blur, share in row.items() if blur != SHARP])
    return (
        f"| {rule} | {row[SHARP].right:.3f} | {right.mean():.3f} | {wrong.mean():.4f} | {wrong.max():.4f}"
        f" | {row[SHARP].strangers:.4f} | {strangers.mean():.4f} | {strangers.max():.4f} |"
    )


def beside_raw(raw: Mapping[str, Shares], ruled: Mapping[str, Shares]) -> str:
    """What a rule does under each blur."""
    head = (
        "| blur | right: raw | by the rule | wrong: raw | by the rule | strangers: raw | by the rule |\n|" + "---|" * 7
    )
    return "\n".join([head, *(_pair(blur, raw[blur], ruled[blur]) for blur in raw)])


def _pair(blur: str, raw: Shares, ruled: Shares) -> str:
    return (
        f"| {blur} | {raw.right:.3f} | {ruled.right:.3f} | {raw.wrong:.4f} | {ruled.wrong:.4f}"
        f" | {raw.strangers:.4f} | {ruled.strangers:.4f} |"
    )


def main() -> None:
    arguments = _arguments()
    cv2.setNumThreads(1)
    detector = YuNet(load(fetch("yunet")), min_confidence=IN_VIDEO)
    session = load(fetch("sface"))
    study = Study(load_split(arguments.data, "val", detector, arguments.every), SFace(session, fingerprint("sface")))
    network = arguments.network or manifest.own("deblur").path
    told = record_run([arguments.data / "val" / ARCHIVE, network], 0, session.backend)
    deblurrers = {name: make for name, make in deblurrer_factories(network=network).items() if name in arguments.method}
    seen = _seen(study, list(load_conditions(arguments.data).values()), deblurrers)
    print(
        f"{told.to_markdown()}\n- {DRAWS} galleries of {study.size} people, threshold {threshold_for(study.size):.3f}"
    )
    for name, shown in seen.items():
        found = {
            rule: {blur: study.shares(decide, each) for blur, each in shown.items()} for rule, decide in RULES.items()
        }
        print(f"\n## {name}\n\n{candidates(found)}\n\nchosen: {best(found)}")
        print(f"\n{beside_raw(found[RAW], found[PRODUCT])}", flush=True)


def _seen(study: Study, under: Sequence[Condition], deblurrers: DeblurrerFactories) -> dict[str, dict[str, Shown]]:
    """By deblurrer, then by condition; a known motion counts as a condition of its own."""
    seen: dict[str, dict[str, Shown]] = {name: {} for name in deblurrers}
    rows = run_parallel(lambda condition: study.under(condition, deblurrers), under)
    for condition, shown in zip(under, rows, strict=True):
        for row, each in shown.items():
            name, _, told = row.partition(", ")
            seen[name][f"{condition.name}, {told}" if told else condition.name] = each
    return seen


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.restoration_fusion", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="the shared data")
    parser.add_argument("--network", type=Path, help="an ONNX file; without it the one that comes with unblur")
    parser.add_argument("--every", type=int, default=1, help="take every n-th person, to be quick")
    parser.add_argument("--method", action="append", choices=(NETWORK, RICHARDSON_LUCY))
    arguments = parser.parse_args()
    arguments.method = arguments.method or [NETWORK, RICHARDSON_LUCY]
    return arguments


if __name__ == "__main__":
    main()
