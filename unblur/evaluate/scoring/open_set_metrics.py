"""Open-set identification metrics: DIR at a given FPIR, rank-1, and bootstrap intervals.

Detection and identification rate (DIR) at a false positive identification rate (FPIR): the share of mated probes named
rightly while that share of non-mated probes gets any name; Grother and Phillips, "Models of large population
recognition performance", CVPR 2004, and ISO/IEC 19795-1. `scores` are N x P similarities of N probes to P enrolled
people; -inf throughout stands for a probe without a detected face. Rates lie in 0..1.
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


def dir_at(probe_scores: Array, labels: Indices, non_mated_scores: Array, fpir: float) -> float:
    """Return the share of probes named rightly at the threshold that at most `fpir` of the non-mated probes exceed.

    `labels`: the index of each of the N probes' true person among the P people.
    """
    named = _right(probe_scores, labels) & (probe_scores.max(1) > threshold_at(non_mated_scores, fpir))
    return float(named.mean())


def threshold_at(non_mated_scores: Array, fpir: float) -> float:
    """Return the similarity that at most `fpir` of the non-mated probes exceed."""
    best = non_mated_scores.max(1)
    return float(_thresholds(best, np.ones((1, len(best))), fpir)[0])


def _right(scores: Array, labels: Indices) -> NDArray[np.bool_]:
    """Mark the probes whose most similar person is the true one."""
    return np.asarray((scores.argmax(1) == labels) & np.isfinite(scores.max(1)))


def _thresholds(best: Array, weights: Numbers, fpir: float) -> Numbers:
    """Return the threshold of each of B bootstrap samples, in which non-mated probe m counts `weights[b, m]` times."""
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
        """Make an estimate of bootstrap samples, of which the first is the original data."""
        low, high = np.percentile(samples[1:], (2.5, 97.5))
        return cls(float(samples[0]), float(low), float(high))


def bootstrap(values: Numbers, statistic: Callable[..., Numbers] = np.mean) -> Estimate:
    """Estimate the mean, or another statistic, of N values (N >= 1), with its bootstrap interval."""
    drawn = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    return Estimate.of(np.append(statistic(values, axis=0), statistic(values[drawn], axis=1)))


@dataclass(frozen=True, slots=True, eq=False)
class OpenSetTrial:
    """The scores of one row under one condition: mated probes' scores and labels, non-mated probes' scores and `owners`
    (a number for each of their people)."""

    probes: Array
    labels: Indices
    non_mated: Array
    owners: Indices

    def rates(self, threshold: float, seed: int) -> dict[str, Estimate]:
        """Estimate rank-1, DIR at FPIR 1 % and 5 %, and FPIR and DIR at a fixed `threshold`; intervals over people."""
        rng = np.random.default_rng(seed)
        mated_weights, non_mated_weights = _draw_weights(self.labels, rng), _draw_weights(self.owners, rng)
        right, best = _right(self.probes, self.labels), self.probes.max(1)
        non_mated_best = self.non_mated.max(1)

        def share(named: NDArray[np.bool_], weights: Numbers) -> Estimate:
            return Estimate.of((named * weights).sum(1) / weights.sum(1))

        def at(fpir: float) -> Estimate:
            return share(right & (best > _thresholds(non_mated_best, non_mated_weights, fpir)[:, None]), mated_weights)

        return {
            "rank1": share(right, mated_weights),
            "dir1": at(0.01),
            "dir5": at(0.05),
            "fpir": share(non_mated_best >= threshold, non_mated_weights),
            "dir": share(right & (best >= threshold), mated_weights),
        }

    def curve(self) -> tuple[Numbers, Numbers]:
        """Return FPIR and the DIR at it, for every threshold at which one more non-mated probe gets a name."""
        best = np.sort(self.non_mated.max(1))[::-1]
        named = np.sort(self.probes.max(1)[_right(self.probes, self.labels)])
        dirs = (len(named) - np.searchsorted(named, best, side="right")) / len(self.probes)
        return np.arange(len(best)) / len(best), np.asarray(dirs, np.float64)

    def named(self, threshold: float) -> Indices:
        """Return the index of the person that each probe is named at this threshold, or -1 for unknown."""
        return np.where(self.probes.max(1) >= threshold, self.probes.argmax(1), -1)


def _draw_weights(owners: Indices, rng: np.random.Generator) -> Numbers:
    """Draw how often each of N items counts: once in the first row; in each further row as often as its owner was
    drawn, with replacement, among all owners."""
    _, owner_indices = np.unique(owners, return_inverse=True)
    people = int(owner_indices.max()) + 1
    counts = rng.multinomial(people, np.full(people, 1 / people), DRAWS)
    return np.vstack([np.ones(len(owners)), counts[:, owner_indices]])
