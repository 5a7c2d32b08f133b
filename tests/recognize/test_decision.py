from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognize.decision import ENOUGH, LEAD, LOW_EVIDENCE_OFFSET, MARGIN, SLACK, decide, required_threshold
from recognize.restoration_fusion import CONTRADICTION
from stream.values import Array

THRESHOLD = 0.4


def scores(*values: float) -> Array:
    return np.array(values, np.float32)


def named(held: int | None, *values: float, raw: Array | None = None) -> int | None:
    decision = decide(scores(*values), scores(*values) if raw is None else raw, held, THRESHOLD)
    return decision.person if decision.named else None


def test_a_name_takes_the_threshold() -> None:
    assert named(None, 0.1, 0.41) == 1
    assert named(None, 0.1, 0.39) is None
    assert named(None, 0.41) == 0


def test_two_equally_similar_people_give_no_name() -> None:
    assert named(None, 0.5, 0.5 - MARGIN / 2) is None
    assert named(None, 0.5, 0.5 - MARGIN * 1.1) == 0


def test_the_runner_up_is_the_best_other() -> None:
    assert decide(scores(0.1, 0.5, 0.3), scores(0, 0, 0), None, THRESHOLD).runner_up == 2
    assert decide(scores(0.1, 0.45, 0.5), scores(0, 0, 0), 1, THRESHOLD).runner_up == 2
    assert decide(scores(0.5), scores(0.5), None, THRESHOLD).runner_up is None


def test_a_name_stays_until_the_evidence_clearly_speaks_against_it() -> None:
    assert named(0, THRESHOLD - SLACK + 0.01, 0.1) == 0
    assert named(0, THRESHOLD - SLACK - 0.01, 0.1) is None
    assert named(0, 0.45, 0.45 + LEAD - 0.01) == 0
    assert named(0, 0.45, 0.45 + LEAD + 0.01) == 1


def test_restored_scores_do_not_name_a_person_that_raw_scores_contradict() -> None:
    assert named(None, 0.6, 0.1, raw=scores(0.2, 0.2 + CONTRADICTION + 0.01)) is None
    assert named(None, 0.6, 0.1, raw=scores(0.2, 0.2 + CONTRADICTION - 0.01)) == 0


def test_little_evidence_must_be_more_similar() -> None:
    assert required_threshold(THRESHOLD, 0) == pytest.approx(THRESHOLD + LOW_EVIDENCE_OFFSET)
    assert required_threshold(THRESHOLD, ENOUGH / 2) == pytest.approx(THRESHOLD + LOW_EVIDENCE_OFFSET / 2)
    assert required_threshold(THRESHOLD, ENOUGH) == required_threshold(THRESHOLD, 10 * ENOUGH) == THRESHOLD


@given(st.lists(st.floats(-SLACK / 2, SLACK / 2), min_size=1, max_size=60), st.floats(0.2, 0.9))
def test_noise_smaller_than_the_slack_changes_a_name_at_most_once(noise: list[float], level: float) -> None:
    held, changes = None, 0
    for offset in noise:
        now = named(held, level + offset, 0.1)
        changes += now != held
        held = now
    assert changes <= 1


@given(st.lists(st.floats(-LEAD / 2 + 0.01, LEAD / 2 - 0.01), min_size=2, max_size=60))
def test_two_alike_people_do_not_take_turns(noise: list[float]) -> None:
    held: int | None = None
    names = []
    for one, other in pairwise(noise):
        held = named(held, 0.6 + one, 0.6 + other)
        names.append(held)
    assert len({name for name in names if name is not None}) <= 1


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8), st.integers(0, 7), st.floats(0.2, 0.8))
def test_every_named_person_reached_the_threshold(values: list[float], held: int, threshold: float) -> None:
    decision = decide(scores(*values), scores(*values), held if held < len(values) else None, threshold)
    assert decision.runner_up != decision.person
    assert not decision.named or scores(*values)[decision.person] >= decision.threshold
