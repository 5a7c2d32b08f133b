"""Threshold of a gallery: from its size, the accepted FPIR, and the similarity of its people to each other.

The rule by size was measured on ordinary galleries. The similarity of a gallery's people is measured on itself: each
person is a non-mated probe for all others. If they are more similar than chance allows (a family, one bad camera), the
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
EXPECTED_IMPOSTOR_SCORE = 0.233
"""Mean score of a non-mated face with the nearest of SMALLEST_GALLERY people; on val, as are the next two
(`benchmarks/threshold.py`, "Strangers and the enrolled")."""
EXPECTED_GROWTH_PER_LOG = 0.035
"""Its growth with the natural logarithm of the number of people."""
IMPOSTOR_SCORE_STD = 0.04
"""Its standard deviation between people."""
LOWEST_FPIR = 0.001
"""Lowest FPIR that the rule was measured for."""
STANDARD_ERRORS = 2.0
"""Standard errors that count as chance."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Statistics of a gallery of `people`, in cosine similarities (-1..1).

    `mean_impostor_score` is the mean, over the people, of their photos' scores with the nearest other person;
    `max_impostor_score` is the highest of these scores, and `pair` the two people; `min_genuine_score` is the lowest
    score of a photo with its nearest other photo of the same person, None if everybody has one photo. 0 and None for
    too few people.
    """

    people: int
    mean_impostor_score: float
    max_impostor_score: float
    pair: tuple[str, str] | None
    min_genuine_score: float | None
    version: int = VERSION

    @property
    def threshold_offset(self) -> float:
        """Offset of the threshold (0 or more) for people who are more similar than chance allows."""
        if self.people < SMALLEST_GALLERY:
            return 0.0
        expected = EXPECTED_IMPOSTOR_SCORE + EXPECTED_GROWTH_PER_LOG * log(self.people / SMALLEST_GALLERY)
        return max(0.0, self.mean_impostor_score - expected - STANDARD_ERRORS * IMPOSTOR_SCORE_STD / sqrt(self.people))

    def threshold(self, fpir: float) -> float:
        """Return the score that a name needs at a false positive identification rate of `fpir` (0..1)."""
        return threshold_for(self.people, fpir) + self.threshold_offset

    def fpir(self, threshold: float) -> float:
        """Return the FPIR to expect at a threshold."""
        return fpir_at(threshold - self.threshold_offset, self.people)

    def false_positive_rate(self, score: float) -> float:
        """Return the FPIR to expect at a threshold of `score`; not below the lowest that was measured."""
        return max(LOWEST_FPIR, self.fpir(score))


def calibrate(people: Mapping[str, Person]) -> Calibration:
    """Compute the calibration of these people."""
    names, photos = list(people), [person.embeddings for person in people.values()]
    genuine = [_min_genuine_score(each) for each in photos if len(each) > 1]
    min_genuine = float(min(genuine)) if genuine else None
    if len(names) < 2:
        return Calibration(len(names), 0.0, 0.0, None, min_genuine)
    embeddings, owners = np.concatenate(photos), np.repeat(np.arange(len(names)), [len(each) for each in photos])
    means, nearest, best = zip(
        *(_impostor_scores(index, embeddings, owners) for index in range(len(names))), strict=True
    )
    top = int(np.argmax(best))
    pair = names[top], names[nearest[top]]
    return Calibration(len(names), float(np.mean(means)), float(best[top]), pair, min_genuine)


def _min_genuine_score(embeddings: Array) -> float:
    """Return the lowest score of a photo with the nearest other photo of the person."""
    scores = embeddings @ embeddings.T
    np.fill_diagonal(scores, -1)
    return float(scores.max(1).min())


def _impostor_scores(person: int, embeddings: Array, owners: NDArray[np.intp]) -> tuple[float, int, float]:
    """Compare a person's photos with all others: mean score with the nearest, the nearest person, and the highest
    score."""
    own = owners == person
    scores = embeddings[own] @ embeddings[~own].T
    highest = np.unravel_index(int(scores.argmax()), scores.shape)
    return float(scores.max(1).mean()), int(owners[~own][highest[1]]), float(scores[highest])


SMALLEST_GALLERY = 10
"""People in the smallest gallery that the rule was measured on; smaller ones get its threshold."""

BASE_THRESHOLD = 0.38

THRESHOLD_GROWTH_PER_LOG = 0.024
"""Growth with the natural logarithm of the number of people, and of 1 / FPIR."""

DEFAULT_FPIR = 0.01
"""FPIR for which BASE_THRESHOLD was chosen."""


def threshold_for(people: int, fpir: float = DEFAULT_FPIR) -> float:
    """Return the cosine similarity that at most a share `fpir` (0..1) of sharp non-mated faces reach against a gallery
    of this many people.

    A non-mated face is compared with all people, and the tail of impostor scores falls exponentially: so the threshold
    for a fixed rate grows with the logarithm of the gallery size, and with that of 1 / rate. Blurred faces score lower
    and reach it less often.
    """
    return BASE_THRESHOLD + THRESHOLD_GROWTH_PER_LOG * (
        log(max(people, SMALLEST_GALLERY) / SMALLEST_GALLERY) + log(DEFAULT_FPIR / fpir)
    )


def fpir_at(threshold: float, people: int) -> float:
    """Return the FPIR at `threshold` by the same rule; 1 at most."""
    return min(1.0, DEFAULT_FPIR * exp((threshold_for(people) - threshold) / THRESHOLD_GROWTH_PER_LOG))
