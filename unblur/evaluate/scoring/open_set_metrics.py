"""Open-set identification: who is named, and who ought not to be.

Detection and identification rate (DIR) at a false positive identification rate (FPIR): the share of known people named
rightly while that share of strangers gets any name; Grother and Phillips, "Models of large population recognition
performance", CVPR 2004, and ISO/IEC 19795-1. `scores` are N x P similarities of N probes to P enrolled people; -inf
throughout is a probe on which no face was found. Rates lie in 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.values import Array

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]
DRAWS = 1000
"""Bootstrap samples."""


def dir_at(probe_scores: Array, labels: Indices, stranger_scores: Array, fpir: float) -> float:
    """The share of probes named rightly at the threshold that at most `fpir` of the strangers exceed.

    `labels` are the N probes' places among the P people.
    """
    named = _right(probe_scores, labels) & (probe_scores.max(1) > threshold_at(stranger_scores, fpir))
    return float(named.mean())


def threshold_at(stranger_scores: Array, fpir: float) -> float:
    """The similarity that at most `fpir` of the strangers exceed."""
    best = stranger_scores.max(1)
    return float(_thresholds(best, np.ones((1, len(best))), fpir)[0])


def _right(scores: Array, labels: Indices) -> NDArray[np.bool_]:
    """Whether the most similar person is the true one."""
    return np.asarray((scores.argmax(1) == labels) & np.isfinite(scores.max(1)))


def _thresholds(best: Array, weights: Numbers, fpir: float) -> Numbers:
    """For each of B samples, in which stranger number m counts `weights[b, m]` times, the threshold."""
    order = np.argsort(-best, kind="stable")
    above = weights[:, order].cumsum(1) > fpir * weights.sum(1, keepdims=True) + 1e-9
    return np.asarray(best[order][above.argmax(1)], np.float64)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Numbers) -> Estimate:
        """The first sample is the data as they are; the others are drawn from them."""
        low, high = np.percentile(samples[1:], (2.5, 97.5))
        return cls(float(samples[0]), float(low), float(high))


def over(values: Numbers, statistic: Callable[..., Numbers] = np.mean) -> Estimate:
    """The mean, or another statistic along an axis, of N values (N >= 1), and its bootstrap interval over them."""
    drawn = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    return Estimate.of(np.append(statistic(values, axis=0), statistic(values[drawn], axis=1)))


@dataclass(frozen=True, slots=True, eq=False)
class OpenSetTrial:
    """What was measured in one condition with one row: probes' scores and labels, strangers' scores, and whose each
    stranger's photograph is (any numbers, equal for one person)."""

    probes: Array
    labels: Indices
    strangers: Array
    owners: Indices

    def rates(self, threshold: float, seed: int) -> dict[str, Estimate]:
        """Rank-1, DIR at FPIR 1 % and 5 %, and FPIR and DIR at a fixed `threshold`, with intervals over people."""
        rng = np.random.default_rng(seed)
        known, unknown = _drawn(self.labels, rng), _drawn(self.owners, rng)
        right, best = _right(self.probes, self.labels), self.probes.max(1)
        stranger_best = self.strangers.max(1)

        def share(named: NDArray[np.bool_], weights: Numbers) -> Estimate:
            return Estimate.of((named * weights).sum(1) / weights.sum(1))

        def at(fpir: float) -> Estimate:
            return share(right & (best > _thresholds(stranger_best, unknown, fpir)[:, None]), known)

        return {
            "rank1": share(right, known),
            "dir1": at(0.01),
            "dir5": at(0.05),
            "fpir": share(stranger_best >= threshold, unknown),
            "dir": share(right & (best >= threshold), known),
        }

    def curve(self) -> tuple[Numbers, Numbers]:
        """FPIR and the DIR at it, for every threshold at which a stranger more gets a name."""
        best = np.sort(self.strangers.max(1))[::-1]
        named = np.sort(self.probes.max(1)[_right(self.probes, self.labels)])
        dirs = (len(named) - np.searchsorted(named, best, side="right")) / len(self.probes)
        return np.arange(len(best)) / len(best), np.asarray(dirs, np.float64)

    def named(self, threshold: float) -> Indices:
        """Whom each probe is named at this threshold: a place among the people, or -1 for nobody."""
        return np.where(self.probes.max(1) >= threshold, self.probes.argmax(1), -1)


def _drawn(owners: Indices, rng: np.random.Generator) -> Numbers:
    """How often each of N items counts: once in the first row; then as often as its owner was drawn, with replacement
    among all owners."""
    _, places = np.unique(owners, return_inverse=True)
    people = int(places.max()) + 1
    counts = rng.multinomial(people, np.full(people, 1 / people), DRAWS)
    return np.vstack([np.ones(len(owners)), counts[:, places]])
