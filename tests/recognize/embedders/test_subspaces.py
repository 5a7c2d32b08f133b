from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.backends.selection import load
from recognize.embedders.subspaces import ENERGY, NEIGHBORS, Labels, Matrix, Subspace, lda, lpp, pca
from stream.values import Array

seeds = st.integers(0, 99)


def clouds(seed: int, people: int = 4, photos: int = 9, pixels: int = 30) -> tuple[Array, Labels]:
    """Photos around each person's point; half of the pixels depend only on lighting, and vary far more."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), photos)
    own = rng.normal(0, 1, (people, pixels))[labels] + rng.normal(0, 0.3, (len(labels), pixels))
    light = rng.normal(0, 20, (len(labels), 1)) * (np.arange(pixels) % 2)
    return (own + light).astype(np.float32), labels


def projected(pixels: Array, subspace: Subspace) -> Matrix:
    return np.asarray((pixels - subspace.mean) @ subspace.basis)


@settings(deadline=None)
@given(seeds)
def test_eigenfaces_keep_the_energy_asked_for_in_the_fewest_directions(seed: int) -> None:
    pixels, _ = clouds(seed)
    subspace = pca(pixels)
    np.testing.assert_allclose(subspace.basis.T @ subspace.basis, np.eye(subspace.basis.shape[1]), atol=1e-9)
    variances = projected(pixels, subspace).var(0) / pixels.astype(np.float64).var(0).sum()
    assert variances.sum() >= ENERGY > variances[:-1].sum()


@settings(deadline=None)
@given(seeds)
def test_fisherfaces_separate_people_where_eigenfaces_separate_lighting(seed: int) -> None:
    pixels, labels = clouds(seed)
    assert scatter(projected(pixels, lda(pixels, labels)), labels) < 0.2
    assert scatter(projected(pixels, pca(pixels, 1)), labels) > 0.5


def scatter(points: Matrix, labels: Labels) -> float:
    """Return the share of the variance within people."""
    means = np.stack([points[labels == label].mean(0) for label in range(labels.max() + 1)])
    return float((points - means[labels]).var(0).sum() / points.var(0).sum())


def test_fisherfaces_have_one_direction_less_than_people() -> None:
    assert lda(*clouds(0)).basis.shape == (30, 3)


def joined(points: Matrix) -> Matrix:
    """Build LPP's graph as defined in the paper."""
    squared: Matrix = np.square(points[:, None] - points[None]).sum(-1)
    nearest = np.argsort(squared + 1e9 * np.eye(len(points)), 1)[:, :NEIGHBORS]
    heat = np.take_along_axis(squared, nearest, 1).mean()
    weights = np.zeros_like(squared)
    for one, others in enumerate(nearest):
        for other in others:
            weights[one, other] = weights[other, one] = np.exp(-squared[one, other] / heat)
    return weights


def unrest(values: Matrix, weights: Matrix) -> float:
    """Return the objective of LPP: distance of connected photos relative to the distance of all from the origin."""
    apart = (weights * np.square(values[:, None] - values[None])).sum() / 2
    return float(apart / (weights.sum(1) * values**2).sum())


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_no_direction_keeps_neighbors_nearer_than_laplacianfaces_do(seed: int) -> None:
    pixels, _ = clouds(seed)
    reduced = pca(pixels)
    points = projected(pixels, reduced)
    weights = joined(points)
    found = [unrest(values, weights) for values in projected(pixels, lpp(pixels, 3)).T]
    assert found == sorted(found)
    others = np.random.default_rng(seed).normal(size=(points.shape[1], 50))
    others = np.hstack([others, np.eye(points.shape[1])])
    assert found[0] <= min(unrest(values, weights) for values in (points @ others).T) + 1e-9


def test_laplacianfaces_have_at_most_the_directions_of_pca() -> None:
    pixels, _ = clouds(0)
    assert lpp(pixels, 1000).basis.shape[1] == pca(pixels).basis.shape[1]


@pytest.mark.parametrize("count", [1, 7])
def test_the_network_gives_what_the_subspace_gives(tmp_path: Path, count: int) -> None:
    pixels, labels = clouds(1)
    subspace, file = lda(pixels, labels), tmp_path / "lda.onnx"
    onnx.save(subspace.network((1, 5, 6)), file)
    (features,) = load(file, "onnxruntime").run(pixels[:count].reshape(-1, 1, 5, 6))
    np.testing.assert_allclose(features, projected(pixels[:count], subspace), atol=1e-3)
