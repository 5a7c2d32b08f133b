"""Open-set metrics, compared with counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.evaluate.scoring.open_set_metrics import Estimate, OpenSetTrial, bootstrap, dir_at, threshold_at

PROBES = np.array([[0.9, 0.1], [0.3, 0.6], [0.5, 0.2], [-np.inf, -np.inf]], np.float32)
LABELS = np.array([0, 1, 1, 0])
NON_MATED = np.array([[0.4, 0.1], [0.2, 0.55], [0.1, 0.0], [0.3, 0.2]], np.float32)


def test_dir_counts_the_probes_named_rightly_above_the_threshold() -> None:
    assert threshold_at(NON_MATED, 0) == pytest.approx(0.55)
    assert dir_at(PROBES, LABELS, NON_MATED, 0) == 0.5
    assert threshold_at(NON_MATED, 0.25) == pytest.approx(0.4)
    assert dir_at(np.array([[0.5, 0.0]], np.float32), np.array([0]), NON_MATED, 0.25) == 1
    assert dir_at(np.array([[0.5, 0.0]], np.float32), np.array([0]), NON_MATED, 0.2) == 0


def test_at_fpir_of_one_percent_two_of_200_non_mated_are_named() -> None:
    non_mated = np.arange(200, dtype=np.float32)[:, None]
    assert threshold_at(non_mated, 0.01) == 197
    assert (non_mated.max(1) > threshold_at(non_mated, 0.01)).sum() == 2


@given(st.integers(1, 40), st.floats(0, 0.99), st.integers(0, 1000))
def test_the_threshold_allows_as_many_non_mated_names_as_the_fpir(number: int, fpir: float, seed: int) -> None:
    non_mated = np.random.default_rng(seed).random((number, 3), np.float32)
    threshold = threshold_at(non_mated, fpir)
    assert (non_mated.max(1) > threshold).mean() <= fpir + 1e-9
    assert (non_mated.max(1) >= threshold).mean() > fpir


def test_rates_of_a_trial_with_their_intervals() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 5)
    probes = rng.random((100, 20), np.float32) * 0.5
    probes[np.arange(100), labels] += 0.3
    non_mated = rng.random((60, 20), np.float32) * 0.6
    trial = OpenSetTrial(probes, labels, non_mated, np.repeat(np.arange(30), 2))
    rates = trial.rates(0.55, seed=0)
    correct = probes.argmax(1) == labels
    assert rates["rank1"].value == pytest.approx(correct.mean())
    assert rates["dir1"].value == dir_at(probes, labels, non_mated, 0.01)
    assert rates["dir5"].value == dir_at(probes, labels, non_mated, 0.05)
    assert rates["dir"].value == pytest.approx((correct & (probes.max(1) >= 0.55)).mean())
    assert rates["fpir"].value == pytest.approx((non_mated.max(1) >= 0.55).mean())
    assert all(rate.low <= rate.value <= rate.high for rate in rates.values())
    assert rates["rank1"].low < rates["rank1"].high
    assert rates == trial.rates(0.55, seed=0)
    fpir, dir_ = trial.curve()
    assert dir_[fpir == 0] == dir_at(probes, labels, non_mated, 0)
    assert dir_[3] == dir_at(probes, labels, non_mated, 3 / 60)
    assert (np.diff(dir_) >= 0).all()


def test_interval_resamples_people_not_photographs() -> None:
    """Probes of one person that all succeed or all fail are one piece of evidence."""
    labels = np.repeat(np.arange(10), 10)
    probes = np.where(np.arange(10) == labels[:, None], np.float32(0.9), np.float32(0.1))
    probes[labels < 5] = probes[labels < 5, ::-1]
    trial = OpenSetTrial(probes, labels, np.zeros((5, 10), np.float32), np.arange(5))
    rank1 = trial.rates(0.5, 0)["rank1"]
    assert rank1.value == 0.5
    assert rank1.high - rank1.low > 0.5, "among 100 independent probes it would be 0.2"


def test_faces_that_were_not_detected_are_unknown() -> None:
    trial = OpenSetTrial(PROBES, LABELS, NON_MATED, np.arange(4))
    assert trial.named(0.5).tolist() == [0, 1, 0, -1]
    assert trial.rates(0.5, 0)["rank1"].value == 0.5


def test_bootstrap_estimates_mean_and_median_with_an_interval() -> None:
    values = np.random.default_rng(1).normal(3, 1, 400)
    mean, median = bootstrap(values), bootstrap(values, np.median)
    assert mean.value == pytest.approx(values.mean())
    assert median.value == pytest.approx(np.median(values))
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.15), "the normal approximation"
    assert bootstrap(np.ones(5)) == Estimate(1, 1, 1)
