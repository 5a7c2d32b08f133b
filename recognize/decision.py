"""Naming somebody, or not: the rules that turn similarities into a name that stays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recognize.restoration_fusion import not_contradicted_by_raw
from stream.values import Array

ENOUGH = 0.3
"""Weight of evidence, in perfect views, from which the plain threshold holds."""
LOW_EVIDENCE_OFFSET = 0.08
"""What no evidence at all would add to the threshold; falls evenly to nothing at `ENOUGH`."""
MARGIN = 0.04
"""A new name must be this much ahead of everybody else."""
SLACK = 0.08
"""A name stays until its similarity falls this far below the threshold,"""
LEAD = 0.1
"""or until somebody above the threshold is this far ahead of it."""


class Decision(NamedTuple):
    """`person` is the candidate's place in the gallery, `named` whether they were named, `threshold` what they had to
    reach; `runner_up` is the best of all others, if there are any."""

    person: int
    named: bool
    threshold: float
    runner_up: int | None


def required_threshold(threshold: float, weight: float) -> float:
    """The threshold for evidence of this weight (perfect views): a single poor view must be all the more similar."""
    return threshold + LOW_EVIDENCE_OFFSET * max(0.0, 1 - weight / ENOUGH)


def decide(scores: Array, raw: Array, held: int | None, threshold: float) -> Decision:
    """Whom to name by the similarities to everybody (at least one), given the person named so far.

    `scores` are of all evidence, `raw` of the crops before restoration. From unknown to a name takes the threshold, a
    margin, and no contradiction by the raw crops; from a name to another or back to unknown takes more than noise
    (hysteresis).
    """
    best = int(scores.argmax())
    if held is not None and _stays(scores, held, best, threshold):
        return Decision(held, True, threshold - SLACK, _runner_up(scores, held))
    runner_up = _runner_up(scores, best)
    ahead = runner_up is None or scores[best] - scores[runner_up] >= MARGIN
    named = scores[best] >= threshold and ahead and not_contradicted_by_raw(scores, raw)
    return Decision(best, bool(named), threshold, runner_up)


def _stays(scores: Array, held: int, best: int, threshold: float) -> bool:
    overtaken = scores[best] >= threshold and scores[best] - scores[held] >= LEAD
    return bool(scores[held] >= threshold - SLACK and not overtaken)


def _runner_up(scores: Array, person: int) -> int | None:
    others = np.delete(scores, person)
    if not len(others):
        return None
    place = int(others.argmax())
    return place + (place >= person)
