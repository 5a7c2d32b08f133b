"""Faces as points in a subspace: eigenfaces (PCA), fisherfaces (LDA) and Laplacianfaces (LPP).

What identified faces before networks did, to measure these by. Each is a linear map, fitted to photos of people and
written as an ONNX network of one layer, so that whatever runs networks runs it, too.
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
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import kneighbors_graph

from stream.values import Array

Numbers = NDArray[np.float64]
Labels = NDArray[np.intp]
"""Whose each of N photos is: the people are 0, 1, 2 ..."""
ENERGY = 0.98
"""Share of the variance that PCA keeps: He et al. (PAMI 2005)."""
NEIGHBOURS = 5
"""Photos to which each is joined in LPP's graph."""
_OPSET, _IR = 18, 10


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """x -> (x - mean) @ basis, for vectors of D pixels: `mean` is D, `basis` D x d."""

    mean: Numbers
    basis: Numbers

    def network(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """The same as a network: N views (N x `shape`, float32) in, N x d out."""
        constants = {"mean": self.mean, "basis": self.basis}
        nodes = [
            helper.make_node("Flatten", ["views"], ["pixels"]),
            helper.make_node("Sub", ["pixels", "mean"], ["centred"]),
            helper.make_node("MatMul", ["centred", "basis"], ["features"]),
        ]
        graph = helper.make_graph(
            nodes,
            "subspace",
            [_port("views", *shape)],
            [_port("features", self.basis.shape[1])],
            [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)


def _port(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


def pca(pixels: Array, kept: float | int = ENERGY) -> Subspace:
    """Eigenfaces: Turk and Pentland, "Eigenfaces for recognition", 1991. `pixels` are N x D; `kept` is the share of the
    variance to keep, or how many directions."""
    fitted = PCA(kept, svd_solver="full").fit(pixels.astype(np.float64))
    return Subspace(fitted.mean_, fitted.components_.T)


def lda(pixels: Array, labels: Labels) -> Subspace:
    """Fisherfaces: Belhumeur et al., "Eigenfaces vs. Fisherfaces", PAMI 1997. PCA leaves as many directions as there
    are more photos than people, so that the scatter within people can be inverted; LDA one less than people.

    With so many directions a plain inverse is mostly noise: the scatter is shrunk first, by as much as Ledoit and Wolf
    find ("A well-conditioned estimator for large-dimensional covariance matrices", 2004).
    """
    people = int(labels.max()) + 1
    reduced = pca(pixels, min(len(pixels) - people, pixels.shape[1]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only one sample available")  # who has one photo has no scatter
        fitted = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(_projected(pixels, reduced), labels)
    return Subspace(reduced.mean, reduced.basis @ fitted.scalings_[:, : people - 1])


def lpp(pixels: Array, dimensions: int) -> Subspace:
    """Laplacianfaces: He and Niyogi, "Locality preserving projections", NIPS 2003, after PCA as He et al., "Face
    recognition using Laplacianfaces", PAMI 2005.

    Photos are joined to their nearest, with weights that fall with the distance (heat kernel); nobody is told whose
    they are. Of all directions a those are kept in which joined photos stay nearest: with the weights W, their row sums
    D and L = D - W, the smallest of X'LX a = lambda X'DX a.
    """
    reduced = pca(pixels)
    points = _projected(pixels, reduced)
    weights = _joined(points)
    degrees = np.diag(weights.sum(1))
    apart, spread = points.T @ (degrees - weights) @ points, points.T @ degrees @ points
    last = min(dimensions, len(apart)) - 1
    _, directions = eigh(apart, spread, subset_by_index=(0, last))
    return Subspace(reduced.mean, reduced.basis @ directions)


def _projected(pixels: Array, subspace: Subspace) -> Numbers:
    return np.asarray((pixels - subspace.mean) @ subspace.basis, np.float64)


def _joined(points: Numbers) -> Numbers:
    """N x N weights: exp(-d^2 / t) between a photo and its nearest, either way, else 0; t is the mean of d^2."""
    graph: Any = kneighbors_graph(points, NEIGHBOURS, mode="distance")
    graph.data = np.square(graph.data)
    scale = graph.data.mean() or 1  # 0 where each photo is there several times
    graph.data = np.exp(-graph.data / scale)
    weights: Numbers = graph.toarray()
    return np.maximum(weights, weights.T)
