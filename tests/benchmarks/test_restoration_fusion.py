"""How the rule for restored faces is chosen."""

from __future__ import annotations

import numpy as np

from benchmarks.restoration_fusion import PRODUCT, RAW, RULES, SHARP, Shares, Shown, best, mixed
from recognize import restoration_fusion
from stream.values import Array

PEOPLE = np.eye(8, 128, dtype=np.float32)


def compare(embeddings: Array) -> Array:
    return embeddings @ PEOPLE.T


def shown() -> Shown:
    drawn = np.random.default_rng(0).standard_normal((2, 5, 128)).astype(np.float32)
    raw, restored = drawn / np.linalg.norm(drawn, axis=2, keepdims=True)
    restored[0] = raw[0]
    return Shown(raw, restored, np.array([0, 4, 10, 20, 40], np.float32))


def test_what_was_left_alone_scores_alike_by_every_rule() -> None:
    seen = shown()
    raw = compare(seen.raw)[0]
    for rule in RULES.values():
        assert np.allclose(rule.score(seen, compare)[0], raw, atol=1e-6)


def test_the_products_rule_is_the_one_that_the_program_uses() -> None:
    seen = shown()
    expected = mixed(restoration_fusion.EVEN, restoration_fusion.CAUTION)(seen, compare)
    assert RULES[PRODUCT].veto
    assert np.allclose(RULES[PRODUCT].score(seen, compare), expected, atol=1e-6)


def test_a_rule_that_names_strangers_or_the_wrong_people_is_not_chosen() -> None:
    found = {
        RAW: {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.1, 0.002, 0.001)},
        "strangers": {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.9, 0, 0.011)},
        "wrong": {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.8, 0.003, 0.01)},
        "sound": {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.5, 0.002, 0.01)},
        "timid": {SHARP: Shares(0.9, 0, 0.01), "line": Shares(0.3, 0.0, 0.0)},
    }
    assert best(found) == "sound"
