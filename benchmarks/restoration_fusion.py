"""Chooses, on `val`, the rule that fuses raw and restored crops for identification.

    python -m benchmarks.restoration_fusion --data ../shared/data                       the network of unblur
    python -m benchmarks.restoration_fusion --data ../shared/data --network other.onnx  another one

The people of `unblur evaluate identify` on val/lfw160, under each of its conditions, cropped by the sharp face's
points, restored if the gate allows it, and embedded by SFace. Galleries are drawn at random; people outside are
non-mated. At the product's threshold for that many people: the shares of mated probes named rightly (DIR) and wrongly,
and of non-mated probes given a name (FPIR).
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
NON_MATED = -1
"""Label of people who are never enrolled."""
DRAWS = 40
SHARP, RAW = "none", "raw"
PRODUCT = "the product's"
EVENS = (5.0, 10.0, 15.0)
CAUTIONS = (0.0, 0.02, 0.04, 0.06)
MARGINS = (0.0, 0.05, 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """The probes of one condition: embeddings (N x 128) of raw and restored crops, and blur extents (N). A crop that
    was not restored has its raw embedding twice and extent 0."""

    raw: Array
    restored: Array
    blur: Array


Compare = Callable[[Array], Array]
"""Maps embeddings (N x 128) to their similarities to the enrolled people (N x P)."""
FusedScore = Callable[[Probes, Compare], Array]
"""Returns the similarities (N x P) that are compared with the threshold of sharp crops."""


class FusionRule(NamedTuple):
    """A fusion rule. With `veto`, no name is given that the raw crop contradicts."""

    score: FusedScore
    veto: bool = False


def score_raw(probes: Probes, compare: Compare) -> Array:
    return compare(probes.raw)


def score_restored(probes: Probes, compare: Compare) -> Array:
    return compare(probes.restored)


def score_mean(probes: Probes, compare: Compare) -> Array:
    """Kittler et al., "On combining classifiers", PAMI 1998: the sum rule."""
    return (compare(probes.raw) + compare(probes.restored)) / np.float32(2)


def larger(margin: float) -> FusedScore:
    """Take the larger similarity, minus a margin for the restored crop."""
    return lambda probes, compare: np.maximum(compare(probes.raw), compare(probes.restored) - np.float32(margin))


def mean_embedding(even: float, caution: float = 0.0) -> FusedScore:
    """Weight the restored embedding more the more blurred the raw crop is: equally at a blur of `even` pixels.
    `caution` times its weight is subtracted from the similarity."""

    def score(probes: Probes, compare: Compare) -> Array:
        squared = np.square(probes.blur)[:, None]
        weight = squared / (squared + np.float32(even) ** 2)
        mean = normalize(np.asarray((1 - weight) * probes.raw + weight * probes.restored, np.float32))
        return np.asarray(compare(mean) - np.float32(caution) * weight, np.float32)

    return score


def score_product(probes: Probes, compare: Compare) -> Array:
    """Apply the product's rule (`recognize.restoration_fusion`)."""
    return (
        compare(restoration_fusion.fuse(probes.raw, probes.restored, probes.blur))
        - restoration_fusion.still_threshold_offset(probes.blur)[:, None]
    )


RULES: Mapping[str, FusionRule] = {
    RAW: FusionRule(score_raw),
    "restored": FusionRule(score_restored),
    "restored, veto": FusionRule(score_restored, veto=True),
    "mean of both similarities": FusionRule(score_mean),
    **{f"larger, restored less {margin:g}": FusionRule(larger(margin)) for margin in MARGINS},
    **{f"even at {even:g} px": FusionRule(mean_embedding(even)) for even in EVENS},
    **{
        f"even at {even:g} px, veto, caution {most:g}": FusionRule(mean_embedding(even, most), veto=True)
        for even in EVENS
        for most in CAUTIONS
    },
    PRODUCT: FusionRule(score_product, veto=True),
}
"""`even at`: the mean embedding, in which both crops have equal weight at that blur."""


class Shares(NamedTuple):
    """Shares of mated probes named rightly and wrongly, and of non-mated probes given a name."""

    right: float
    wrong: float
    non_mated: float


class Study:
    """The probes of a dataset split, and random galleries of its enrolled people."""

    def __init__(self, split: DatasetSplit, embedder: SFace) -> None:
        self._photographs = [*split.probes, *split.non_mated]
        self._labels = np.concatenate([split.labels(split.probes), np.full(len(split.non_mated), NON_MATED)])
        self._embedder = embedder
        self._owners = split.labels(split.gallery)
        self._gallery = embedder.embed([align(each.image, each.landmarks)[0] for each in split.gallery])
        rng, people = np.random.default_rng(0), len(split.people)
        self.size = min(GALLERY, people // 2)
        self._draws = [np.sort(rng.permutation(people)[: self.size]) for _ in range(DRAWS)]

    def make_probes(self, condition: Condition, deblurrers: DeblurrerFactories) -> dict[str, Probes]:
        """Blur, restore and embed all probes under a condition, by the rows of the deblurrers."""
        shots = condition.make_shots([each.image for each in self._photographs], seed=0)
        probes = [_make_probe(*each) for each in zip(shots, self._photographs, strict=True)]
        raw = self._embedder.embed([each.crop.image for each in probes])
        rows = make_rows(list(deblurrers), deblurrers, condition.straight)
        return {name: self._embed_restored(raw, restore(probes)) for name, restore in rows.items()}

    def _embed_restored(self, raw: Array, restorations: Sequence[Restoration]) -> Probes:
        restored = raw.copy()
        changed = [index for index, each in enumerate(restorations) if each.method != "none"]
        restored[changed] = self._embedder.embed([restorations[index].image for index in changed])
        return Probes(
            raw, restored, np.array([0 if each.method == "none" else each.blur for each in restorations], np.float32)
        )

    def shares(self, rule: FusionRule, probes: Probes) -> Shares:
        """Compute the shares at the product's threshold, over all draws."""
        scores, raw_scores = rule.score(probes, self._similarities), self._similarities(probes.raw)
        counted = [
            self._counts(scores[:, drawn], raw_scores[:, drawn] if rule.veto else None, drawn) for drawn in self._draws
        ]
        right, wrong, non_mated = np.sum(counted, 0)
        known = sum(np.isin(self._labels, drawn).sum() for drawn in self._draws)
        return Shares(right / known, wrong / known, non_mated / (DRAWS * len(self._labels) - known))

    def _counts(self, scores: Array, raw_scores: Array | None, drawn: NDArray[np.intp]) -> tuple[int, int, int]:
        named = scores.max(1) >= threshold_for(len(drawn))
        if raw_scores is not None:
            named &= restoration_fusion.not_contradicted_by_raw(scores, raw_scores)
        right, known = drawn[scores.argmax(1)] == self._labels, np.isin(self._labels, drawn)
        return int((named & right).sum()), int((named & known & ~right).sum()), int((named & ~known).sum())

    def _similarities(self, embeddings: Array) -> Array:
        """Compute the similarities to each person's nearest photograph; the gallery is ordered by person."""
        starts = np.flatnonzero(np.diff(self._owners, prepend=-1))
        return np.maximum.reduceat(embeddings @ self._gallery.T, starts, axis=1)


def _make_probe(shot: Shot, photograph: Photograph) -> Probe:
    image, matrix = align(shot.image, photograph.landmarks)
    return make_probe(image, matrix, shot.kernel, shot.motion)


SharesByRule = Mapping[str, Mapping[str, Shares]]
"""Shares by rule and condition."""


def choose_rule(shares: SharesByRule) -> str:
    """Choose the rule with most right names. Under no blur may it name more non-mated probes than raw crops of sharp
    faces do, or give more wrong names than the raw crops' worst."""
    non_mated = shares[RAW][SHARP].non_mated
    wrong = max(share.wrong for share in shares[RAW].values())
    sound = {
        rule: np.mean([share.right for share in row.values()])
        for rule, row in shares.items()
        if all(share.non_mated <= non_mated and share.wrong <= wrong for share in row.values())
    }
    return max(sound, key=lambda rule: sound[rule], default=RAW)


def candidates_table(shares: SharesByRule) -> str:
    """Format the shares of all rules: means over the blurs, and the worst blur."""
    head = (
        "| rule | right: sharp | mean of blurs | wrong: mean | worst | non-mated: sharp | mean | worst |\n|"
        + "---|" * 8
    )
    return "\n".join([head, *(_candidate(rule, row) for rule, row in shares.items())])


def _candidate(rule: str, row: Mapping[str, Shares]) -> str:
    right, wrong, non_mated = np.transpose([share for blur, share in row.items() if blur != SHARP])
    return (
        f"| {rule} | {row[SHARP].right:.3f} | {right.mean():.3f} | {wrong.mean():.4f} | {wrong.max():.4f}"
        f" | {row[SHARP].non_mated:.4f} | {non_mated.mean():.4f} | {non_mated.max():.4f} |"
    )


def comparison_table(raw: Mapping[str, Shares], ruled: Mapping[str, Shares]) -> str:
    """Format the shares of raw crops and of a rule under each blur."""
    head = (
        "| blur | right: raw | by the rule | wrong: raw | by the rule | non-mated: raw | by the rule |\n|" + "---|" * 7
    )
    return "\n".join([head, *(_pair(blur, raw[blur], ruled[blur]) for blur in raw)])


def _pair(blur: str, raw: Shares, ruled: Shares) -> str:
    return (
        f"| {blur} | {raw.right:.3f} | {ruled.right:.3f} | {raw.wrong:.4f} | {ruled.wrong:.4f}"
        f" | {raw.non_mated:.4f} | {ruled.non_mated:.4f} |"
    )


def main() -> None:
    arguments = _parse_arguments()
    cv2.setNumThreads(1)
    detector = YuNet(load(fetch("yunet")), min_confidence=IN_VIDEO)
    session = load(fetch("sface"))
    study = Study(load_split(arguments.data, "val", detector, arguments.every), SFace(session, fingerprint("sface")))
    network = arguments.network or manifest.trained_network("deblur").path
    run_record = record_run([arguments.data / "val" / ARCHIVE, network], 0, session.backend)
    deblurrers = {name: make for name, make in deblurrer_factories(network=network).items() if name in arguments.method}
    probes_by_row = _make_all_probes(study, list(load_conditions(arguments.data).values()), deblurrers)
    print(
        f"{run_record.to_markdown()}\n"
        f"- {DRAWS} galleries of {study.size} people, threshold {threshold_for(study.size):.3f}"
    )
    for name, by_condition in probes_by_row.items():
        shares = {
            rule: {blur: study.shares(decide, each) for blur, each in by_condition.items()}
            for rule, decide in RULES.items()
        }
        print(f"\n## {name}\n\n{candidates_table(shares)}\n\nchosen: {choose_rule(shares)}")
        print(f"\n{comparison_table(shares[RAW], shares[PRODUCT])}", flush=True)


def _make_all_probes(
    study: Study, selected: Sequence[Condition], deblurrers: DeblurrerFactories
) -> dict[str, dict[str, Probes]]:
    """Make the probes by deblurrer and condition; a known motion is a separate condition."""
    probes: dict[str, dict[str, Probes]] = {name: {} for name in deblurrers}
    rows = run_parallel(lambda condition: study.make_probes(condition, deblurrers), selected)
    for condition, by_row in zip(selected, rows, strict=True):
        for row, each in by_row.items():
            name, _, motion = row.partition(", ")
            probes[name][f"{condition.name}, {motion}" if motion else condition.name] = each
    return probes


def _parse_arguments() -> argparse.Namespace:
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
