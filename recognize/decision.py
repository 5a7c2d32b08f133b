"""Decision rules: from similarity scores to a stable name, or none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recognize.restoration_fusion import not_contradicted_by_raw
from stream.values import Array

ENOUGH = 0.3
"""Weight of a template, in perfect samples, from which the threshold has no offset."""
LOW_EVIDENCE_OFFSET = 0.08
"""Offset of the threshold at weight 0; falls linearly to 0 at `ENOUGH`."""
MARGIN = 0.04
"""A new name needs this lead over the runner-up."""
SLACK = 0.08
"""A name stays until its similarity falls this far below the threshold,"""
LEAD = 0.1
"""or until another person above the threshold is this far ahead of it."""


class Decision(NamedTuple):
    """Result: `person` is the candidate's index in the gallery, `named` whether the candidate reached `threshold` and
    the other rules; `runner_up` is the best of all others, if there are any."""

    person: int
    named: bool
    threshold: float
    runner_up: int | None


def required_threshold(threshold: float, weight: float) -> float:
    """Return the threshold for a template of this weight (in perfect samples): a single poor sample needs a higher
    score."""
    return threshold + LOW_EVIDENCE_OFFSET * max(0.0, 1 - weight / ENOUGH)


def decide(scores: Array, raw: Array, current: int | None, threshold: float) -> Decision:
    """Decide on a name by the similarities to all people (at least one), given the person named so far (`current`).

    `scores` are of all embeddings, `raw` of the crops before restoration. A new name needs the threshold, a margin, and
    no contradiction by the raw crops; a name is changed or dropped only with hysteresis.
    """
    best = int(scores.argmax())
    if current is not None and _stays(scores, current, best, threshold):
        return Decision(current, True, threshold - SLACK, _runner_up(scores, current))
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
    index = int(others.argmax())
    return index + (index >= person)
