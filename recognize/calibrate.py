"""How sure a name must be, by the very people who are enrolled.

The rule of `threshold.py` was measured on ordinary galleries, whose people are no more alike than any. How alike those
of a gallery are can be seen in it: to all others, each of them is a stranger. Where they are more alike than chance
allows (a family; one bad camera), the threshold rises by as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recognize.threshold import SMALL, fpir_at, threshold_for
from stream.values import Array

if TYPE_CHECKING:
    from recognize.gallery import Person

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
    alike: float
    ceiling: float
    pair: tuple[str, str] | None
    floor: float | None
    version: int = VERSION

    @property
    def surcharge(self) -> float:
        """What being more alike than chance allows adds to the threshold, 0 or more."""
        if self.people < SMALL:
            return 0.0
        expected = ORDINARY + ORDINARY_PER_LOG * log(self.people / SMALL)
        return max(0.0, self.alike - expected - CERTAIN * SPREAD / sqrt(self.people))

    def threshold(self, fpir: float) -> float:
        """From which similarity on a face is somebody's, if a share `fpir` (0..1) of strangers may be named."""
        return threshold_for(self.people, fpir) + self.surcharge

    def fpir(self, threshold: float) -> float:
        """The share of strangers to expect above a threshold."""
        return fpir_at(threshold - self.surcharge, self.people)

    def chance(self, score: float) -> float:
        """The share of strangers to expect as similar as that to somebody; not less than what could be measured."""
        return max(RAREST, self.fpir(score))


def calibrated(people: Mapping[str, Person]) -> Calibration:
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
