"""Choice of the fusion rule for raw and restored crops."""

from __future__ import annotations

import numpy as np

from benchmarks.restoration_fusion import PRODUCT, RAW, RULES, SHARP, Probes, Shares, choose_rule, mean_embedding
from recognize import restoration_fusion
from stream.values import Array

PEOPLE = np.eye(8, 128, dtype=np.float32)


def compare(embeddings: Array) -> Array:
    return embeddings @ PEOPLE.T


def make_probes() -> Probes:
    drawn = np.random.default_rng(0).standard_normal((2, 5, 128)).astype(np.float32)
    raw, restored = drawn / np.linalg.norm(drawn, axis=2, keepdims=True)
    restored[0] = raw[0]
    return Probes(raw, restored, np.array([0, 4, 10, 20, 40], np.float32))


def test_a_crop_that_was_not_restored_has_the_same_score_by_every_rule() -> None:
    probes = make_probes()
    raw = compare(probes.raw)[0]
    for rule in RULES.values():
        assert np.allclose(rule.score(probes, compare)[0], raw, atol=1e-6)


def test_the_products_rule_is_the_one_of_recognize() -> None:
    probes = make_probes()
    expected = mean_embedding(restoration_fusion.EVEN, restoration_fusion.CAUTION)(probes, compare)
    assert RULES[PRODUCT].veto
    assert np.allclose(RULES[PRODUCT].score(probes, compare), expected, atol=1e-6)


def test_a_rule_with_too_many_false_names_is_not_chosen() -> None:
    shares = {
        RAW: {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.1, 0.002, 0.001)},
        "non-mated": {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.9, 0, 0.011)},
        "wrong": {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.8, 0.003, 0.01)},
        "sound": {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.5, 0.002, 0.01)},
        "timid": {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.3, 0.0, 0.0)},
    }
    assert choose_rule(shares) == "sound"
