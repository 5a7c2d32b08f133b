"""Subspace embeddings: eigenfaces (PCA), fisherfaces (LDA) and Laplacianfaces (LPP).

Baselines from before neural networks. Each is a linear map, fitted to photos of people and written as an ONNX network
of one layer, so that every backend runs it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from scipy.linalg import eigh

from stream.values import Array

Matrix = NDArray[np.float64]
Labels = NDArray[np.intp]
"""The person of each of N photos: 0, 1, 2 ..."""
ENERGY = 0.98
"""Share of the variance that PCA keeps: He et al. (PAMI 2005)."""
NEIGHBORS = 5
"""Nearest neighbors of each photo in LPP's graph."""
_OPSET, _IR = 18, 10


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """x -> (x - mean) @ basis, for vectors of D pixels: `mean` is D, `basis` D x d."""

    mean: Matrix
    basis: Matrix

    def network(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """Convert to an ONNX network: N views (N x `shape`, float32) in, N x d out."""
        constants = {"mean": self.mean, "basis": self.basis}
        nodes = [
            helper.make_node("Flatten", ["views"], ["pixels"]),
            helper.make_node("Sub", ["pixels", "mean"], ["centred"]),
            helper.make_node("MatMul", ["centred", "basis"], ["features"]),
        ]
        graph = helper.make_graph(
            nodes,
            "subspace",
            [_tensor_info("views", *shape)],
            [_tensor_info("features", self.basis.shape[1])],
            [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)


def _tensor_info(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


def pca(pixels: Array, kept: float | int = ENERGY) -> Subspace:
    """Fit eigenfaces: Turk and Pentland, "Eigenfaces for recognition", 1991. `pixels` are N x D; `kept` is the share of
    the variance to keep, or how many directions."""
    from sklearn.decomposition import PCA  # noqa: PLC0415  slow, and needed only to fit

    fitted = PCA(kept, svd_solver="full").fit(pixels.astype(np.float64))
    return Subspace(fitted.mean_, fitted.components_.T)


def lda(pixels: Array, labels: Labels) -> Subspace:
    """Fit fisherfaces: Belhumeur et al., "Eigenfaces vs. Fisherfaces", PAMI 1997. PCA keeps (photos - people)
    directions, so that the within-person scatter can be inverted; LDA keeps (people - 1).

    With so many directions a plain inverse is mostly noise: the scatter is shrunk first, after Ledoit and Wolf
    ("A well-conditioned estimator for large-dimensional covariance matrices", 2004).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: PLC0415  as above

    people = int(labels.max()) + 1
    reduced = pca(pixels, min(len(pixels) - people, pixels.shape[1]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only one sample available")  # one photo has no scatter
        fitted = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(_project(pixels, reduced), labels)
    return Subspace(reduced.mean, reduced.basis @ fitted.scalings_[:, : people - 1])


def lpp(pixels: Array, dimensions: int) -> Subspace:
    """Fit Laplacianfaces: He and Niyogi, "Locality preserving projections", NIPS 2003, after PCA as He et al., "Face
    recognition using Laplacianfaces", PAMI 2005.

    Photos are connected to their nearest neighbors, with weights that fall with the distance (heat kernel); labels are
    not used. Those directions a are kept in which connected photos stay nearest: with the weights W, their row sums
    D and L = D - W, the smallest of X'LX a = lambda X'DX a.
    """
    reduced = pca(pixels)
    points = _project(pixels, reduced)
    weights = _neighbor_weights(points)
    degrees = np.diag(weights.sum(1))
    laplacian, scatter = points.T @ (degrees - weights) @ points, points.T @ degrees @ points
    last = min(dimensions, len(laplacian)) - 1
    _, directions = eigh(laplacian, scatter, subset_by_index=(0, last))
    return Subspace(reduced.mean, reduced.basis @ directions)


def _project(pixels: Array, subspace: Subspace) -> Matrix:
    return np.asarray((pixels - subspace.mean) @ subspace.basis, np.float64)


def _neighbor_weights(points: Matrix) -> Matrix:
    """Return N x N weights: exp(-d^2 / t) between a photo and its nearest neighbors, in either direction, else 0; t is
    the mean of d^2."""
    from sklearn.neighbors import kneighbors_graph  # noqa: PLC0415  as above

    graph: Any = kneighbors_graph(points, NEIGHBORS, mode="distance")
    graph.data = np.square(graph.data)
    scale = graph.data.mean() or 1  # 0 if all neighbors are duplicates
    graph.data = np.exp(-graph.data / scale)
    weights: Matrix = graph.toarray()
    return np.maximum(weights, weights.T)
