from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognize.embedders.embedder import normalize
from recognize.gallery.calibration import Calibration, calibrate, fpir_at, threshold_for
from recognize.gallery.people_gallery import Gallery, load_gallery
from recognize.gallery.person import Person

ORDINARY = Calibration(40, 0.28, 0.4, ("Ann", "Bo"), 0.5)


def people(count: int, alike: float, photos: int = 2) -> dict[str, Person]:
    """Make `count` people whose embeddings share a part of one direction."""
    rng = np.random.default_rng(0)
    common = normalize(rng.standard_normal((1, 128)).astype(np.float32))
    made = {}
    for number in range(count):
        own = normalize(rng.standard_normal((1, 128)).astype(np.float32))
        face = np.sqrt(alike) * common + np.sqrt(1 - alike) * own
        noise = 0.02 * rng.standard_normal((photos, 128)).astype(np.float32)
        made[f"Person {number}"] = Person(normalize(np.asarray(face + noise, np.float32)))
    return made


def test_people_more_similar_than_chance_raise_the_threshold() -> None:
    ordinary, family = calibrate(people(30, 0.05)), calibrate(people(30, 0.6))
    assert ordinary.threshold_offset == 0
    assert ordinary.threshold(0.01) == threshold_for(30)
    assert family.threshold_offset > 0.1
    assert family.threshold(0.01) == pytest.approx(threshold_for(30) + family.threshold_offset)
    assert family.fpir(family.threshold(0.02)) == pytest.approx(0.02)


def test_few_people_have_the_threshold_of_the_rule() -> None:
    assert calibrate(people(5, 0.9)).threshold_offset == 0


def test_it_names_the_most_alike_and_the_least_alike_photos() -> None:
    cast = people(12, 0.05)
    twin = normalize(cast["Person 3"].embeddings[:1] + 0.05 * cast["Person 7"].embeddings[:1])
    calibration = calibrate({**cast, "Twin": Person(np.asarray(twin, np.float32))})
    assert set(calibration.pair or ()) == {"Person 3", "Twin"}
    assert calibration.max_impostor_score > 0.9
    apart = replace(cast["Person 5"], embeddings=np.eye(2, 128, dtype=np.float32))
    assert calibrate({**cast, "Person 5": apart}).min_genuine_score == pytest.approx(0, abs=1e-6)
    assert calibrate({}).pair is None
    assert calibrate({"Ann": Person(np.eye(1, 128, dtype=np.float32))}).min_genuine_score is None


@given(st.integers(0, 2000), st.floats(1e-6, 0.5))
def test_threshold_and_rate_are_each_others_inverse(count: int, fpir: float) -> None:
    assert fpir_at(threshold_for(count, fpir), count) == pytest.approx(fpir, rel=1e-6)


@given(st.floats(1e-6, 0.5), st.floats(1e-6, 0.5))
def test_a_lower_fpir_needs_a_higher_threshold(one: float, other: float) -> None:
    assert (one < other) == (ORDINARY.threshold(one) > ORDINARY.threshold(other)) or one == pytest.approx(other)


def test_it_goes_with_the_gallery(tmp_path: Path) -> None:
    gallery = Gallery("network", people(12, 0.5))
    gallery.save(tmp_path / "people.joblib")
    assert load_gallery(tmp_path / "people.joblib", "network").calibration == gallery.calibration
