"""Baseline rules that name a track."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.evaluate.experiments.video_baselines import Attempt, Frigate, Majority, TrackRule

THRESHOLD = 0.4
attempts = st.lists(
    st.builds(Attempt, st.sampled_from(["Ann", "Bob"]), st.floats(-1, 1), st.floats(100, 20000)),
    min_size=1,
    max_size=30,
)


def name_after(rule: TrackRule, *sequence: Attempt) -> str | None:
    found = [rule.update(attempt) for attempt in sequence][-1]
    return found.name if found else None


def ann(score: float, area: float = 5000) -> Attempt:
    return Attempt("Ann", score, area)


def bob(score: float, area: float = 5000) -> Attempt:
    return Attempt("Bob", score, area)


def test_majority_is_the_most_frequent_answer_or_unknown() -> None:
    assert name_after(Majority(THRESHOLD), ann(0.4)) == "Ann"
    assert name_after(Majority(THRESHOLD), ann(0.39)) is None
    assert name_after(Majority(THRESHOLD), ann(0.5), bob(0.9), ann(0.5)) == "Ann"
    assert name_after(Majority(THRESHOLD), ann(0.1), ann(0.5), ann(0.2)) is None
    assert name_after(Majority(THRESHOLD), bob(0.5), ann(0.5)) == "Bob", "the one that was given first"


@given(st.floats(-1, 1))
def test_one_attempt_is_named_from_the_threshold_on_by_either_rule(score: float) -> None:
    if abs(score - THRESHOLD) > 1e-6:
        expected = "Ann" if score > THRESHOLD else None
        assert name_after(Majority(THRESHOLD), ann(score)) == expected
        assert name_after(Frigate(THRESHOLD), ann(score)) == expected


def test_frigate_ignores_unknown_attempts() -> None:
    assert name_after(Frigate(THRESHOLD), ann(0.45), ann(0.1), ann(0.1), ann(0.3)) == "Ann"


def test_frigate_weighs_by_area_up_to_a_limit() -> None:
    near, far = ann(0.44, 4000), ann(0.37, 100)
    assert name_after(Frigate(THRESHOLD), far, far, near) == "Ann"
    assert name_after(Frigate(THRESHOLD), *[ann(0.38, 9000)] * 4, ann(0.44, 400)) is None
    assert name_after(Frigate(THRESHOLD), *[ann(0.38, 4000)] * 4, ann(0.44, 400)) is None, "9000 count as 4000"


def test_frigate_gives_no_name_if_two_people_have_as_many_attempts() -> None:
    assert name_after(Frigate(THRESHOLD), ann(0.6), bob(0.5)) is None
    assert name_after(Frigate(THRESHOLD), ann(0.6), bob(0.5), ann(0.6)) == "Ann"


def test_frigate_remembers_twelve_attempts() -> None:
    assert name_after(Frigate(THRESHOLD), *[ann(0.6)] * 3, *[bob(0.1)] * 9) == "Ann"
    assert name_after(Frigate(THRESHOLD), ann(0.6), *[bob(0.1)] * 12) is None


@given(attempts)
def test_frigates_score_is_a_similarity_above_the_threshold_within_the_matches(sequence: list[Attempt]) -> None:
    rule = Frigate(THRESHOLD)
    for index, attempt in enumerate(sequence):
        if found := rule.update(attempt):
            own = [each.score for each in sequence[: index + 1] if each.name == found.name]
            assert THRESHOLD - 1e-6 <= found.score <= max(own) + 1e-6


def test_area_counts_no_further_than_its_limit() -> None:
    mixed = [ann(0.38, 4000), ann(0.43, 4000)]
    scores = []
    for factor in (1, 3):
        rule = Frigate(THRESHOLD)
        found = [rule.update(each._replace(area=factor * each.area)) for each in mixed][-1]
        scores.append(found.score if found else None)
    assert scores[0] == pytest.approx(scores[1])
