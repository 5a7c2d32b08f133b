"""The threshold of a gallery: from its size and the wanted FPIR, and from how alike its people are.

The rule by size was measured on ordinary galleries. How alike the people of one gallery are is measured in it: to all
others, each person is a non-mated probe. Where they are more alike than chance allows (a family, one bad camera), the
threshold is raised by the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from recognize.gallery.person import Person
from stream.values import Array

VERSION = 1
ORDINARY = 0.233
"""A stranger's similarity to the nearest of SMALL people, on average; on val, as are the next two
(`benchmarks/threshold.py`, "Strangers and the enrolled")."""
ORDINARY_PER_LOG = 0.035
"""Its growth with the natural logarithm of the number of people."""
SPREAD = 0.04
"""Its standard deviation from one to the next."""
RAREST = 0.001
"""The least share of strangers that the rule was measured for."""
CERTAIN = 2.0
"""Standard errors that are chance."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a gallery of `people` says of itself, in cosine similarities (-1..1).

    `alike` is the mean, over the people, of their photos' similarity to whoever else is nearest; `ceiling` the highest
    of these, and `pair` who they are; `floor` the least of a photo to its own person's nearest other photo, None where
    everybody has one. 0 and None where they are too few.
    """

    people: int
    mean_impostor_score: float
    max_impostor_score: float
    pair: tuple[str, str] | None
    min_genuine_score: float | None
    version: int = VERSION

    @property
    def threshold_offset(self) -> float:
        """What being more alike than chance allows adds to the threshold, 0 or more."""
        if self.people < SMALL:
            return 0.0
        expected = ORDINARY + ORDINARY_PER_LOG * log(self.people / SMALL)
        return max(0.0, self.mean_impostor_score - expected - CERTAIN * SPREAD / sqrt(self.people))

    def threshold(self, fpir: float) -> float:
        """From which similarity on a face is somebody's, if a share `fpir` (0..1) of strangers may be named."""
        return threshold_for(self.people, fpir) + self.threshold_offset

    def fpir(self, threshold: float) -> float:
        """The share of strangers to expect above a threshold."""
        return fpir_at(threshold - self.threshold_offset, self.people)

    def chance(self, score: float) -> float:
        """The share of strangers to expect as similar as that to somebody; not less than what could be measured."""
        return max(RAREST, self.fpir(score))


def calibrate(people: Mapping[str, Person]) -> Calibration:
    """The calibration of these people."""
    names, photos = list(people), [person.embeddings for person in people.values()]
    own = [_own(each) for each in photos if len(each) > 1]
    floor = float(min(own)) if own else None
    if len(names) < 2:
        return Calibration(len(names), 0.0, 0.0, None, floor)
    every, owners = np.concatenate(photos), np.repeat(np.arange(len(names)), [len(each) for each in photos])
    means, nearest, best = zip(*(_others(place, every, owners) for place in range(len(names))), strict=True)
    top = int(np.argmax(best))
    pair = names[top], names[nearest[top]]
    return Calibration(len(names), float(np.mean(means)), float(best[top]), pair, floor)


def _own(embeddings: Array) -> float:
    """The least similarity of one of a person's photos to the nearest of the others."""
    alike = embeddings @ embeddings.T
    np.fill_diagonal(alike, -1)
    return float(alike.max(1).min())


def _others(place: int, every: Array, owners: NDArray[np.intp]) -> tuple[float, int, float]:
    """A person's photos against everybody else's: mean similarity to the nearest, who is the very nearest, and how
    near."""
    theirs = owners == place
    alike = every[theirs] @ every[~theirs].T
    highest = np.unravel_index(int(alike.argmax()), alike.shape)
    return float(alike.max(1).mean()), int(owners[~theirs][highest[1]]), float(alike[highest])


SMALL = 10
"""People in the smallest gallery that the rule was measured on; smaller ones get its threshold."""

AT_SMALL = 0.38

PER_LOG = 0.024
"""Growth with the natural logarithm of the number of people, and of how rarely a stranger may be named."""

USUAL = 0.01
"""The share of strangers for which AT_SMALL was chosen."""


def threshold_for(people: int, fpir: float = USUAL) -> float:
    """The cosine similarity that at most a share `fpir` (0..1) of sharp strangers reach against a gallery of this many
    people.

    A stranger meets the best of all who are enrolled, and the tail of strangers' similarities falls exponentially:
    so the threshold for a fixed rate grows with the logarithm of the gallery, and with that of 1 / rate. Blurred
    strangers score lower and reach it less often.
    """
    return AT_SMALL + PER_LOG * (log(max(people, SMALL) / SMALL) + log(USUAL / fpir))


def fpir_at(threshold: float, people: int) -> float:
    """The share of strangers that `threshold` lets through, by the same rule; 1 at most."""
    return min(1.0, USUAL * exp((threshold_for(people) - threshold) / PER_LOG))
