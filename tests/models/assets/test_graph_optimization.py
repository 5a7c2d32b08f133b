"""The optimized networks compute what the pinned ones do: outputs equal to float32 rounding, on a real face."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from models.assets import cache, graph_optimization, manifest
from models.backends import selection

Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def picture(portraits: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(portraits / "obama.jpg"))
    assert image is not None
    return image.astype(np.uint8)


@pytest.fixture(scope="module")
def faces(picture: NDArray[np.uint8], yunet_path: Path, sface_path: Path) -> Array:
    """Three views of one aligned face, N x 3 x 112 x 112 RGB."""
    (face,) = _detect(yunet_path, picture)
    aligned = cv2.FaceRecognizerSF.create(str(sface_path), "").alignCrop(picture, face)
    views = [aligned, cv2.flip(aligned, 1), cv2.blur(aligned, (5, 5))]
    return np.ascontiguousarray(np.stack(views)[..., ::-1].transpose(0, 3, 1, 2), dtype=np.float32)


def _detect(network: Path, image: NDArray[np.uint8]) -> NDArray[Any]:
    height, width = image.shape[:2]
    return np.asarray(cv2.FaceDetectorYN.create(str(network), "", (width, height), 0.6).detect(image)[1])


def _original(name: str) -> Path:
    return cache.path(manifest.network(name))


def _reference(name: str, feed: dict[str, Array]) -> list[Array]:
    """The pinned file in ONNX's own implementation."""
    return [np.asarray(output, np.float32) for output in ReferenceEvaluator(str(_original(name))).run(None, feed)]


def _cosine(a: Array, b: Array) -> Array:
    return np.asarray((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1), np.float32)


def test_sface_equals_the_original_in_the_reference_implementation(sface_path: Path, faces: Array) -> None:
    (prepared,) = selection.load(sface_path).run(faces[:1])
    (pinned,) = _reference("sface", {"data": faces[:1]})

    assert _cosine(prepared, pinned).min() > 0.999999
    np.testing.assert_allclose(prepared, pinned, atol=2e-5)


def test_sface_takes_any_number_of_faces(sface_path: Path, faces: Array) -> None:
    session = selection.load(sface_path)
    (together,) = session.run(faces)
    alone = np.concatenate([session.run(face[None])[0] for face in faces])

    assert together.shape == (3, 128)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_opencv_runs_the_prepared_sface(sface_path: Path, faces: Array) -> None:
    aligned = faces[0].transpose(1, 2, 0)[..., ::-1].astype(np.uint8)
    feature = cv2.FaceRecognizerSF.create(str(sface_path), "").feature(np.ascontiguousarray(aligned))

    assert _cosine(np.asarray(feature, np.float32), selection.load(sface_path).run(faces[:1])[0]).min() > 0.999999


@pytest.mark.slow
def test_yunet_equals_the_original_in_the_reference_implementation(
    yunet_path: Path, picture: NDArray[np.uint8]
) -> None:
    image = cv2.resize(picture, (640, 640)).transpose(2, 0, 1)[None].astype(np.float32)
    paths = (yunet_path, _original("yunet"))
    names, pinned_names = ([output.name for output in onnx.load(path).graph.output] for path in paths)

    assert names == pinned_names
    for name, ours, pinned in zip(
        names, selection.load(yunet_path).run(image), _reference("yunet", {"input": image}), strict=True
    ):
        np.testing.assert_allclose(ours, pinned, atol=2e-5, err_msg=name)


def test_opencv_finds_the_same_face_with_the_prepared_yunet(yunet_path: Path, picture: NDArray[np.uint8]) -> None:
    for size in ((640, 384), (320, 320), (1000, 700)):
        image = cv2.resize(picture, size).astype(np.uint8)
        np.testing.assert_allclose(_detect(yunet_path, image), _detect(_original("yunet"), image), atol=1e-2)


@pytest.mark.parametrize("name", ["yunet", "sface"])
def test_the_same_file_gives_the_same_bytes(name: str) -> None:
    original, shape = _original(name).read_bytes(), manifest.network(name).input

    assert graph_optimization.optimize_graph(original, shape) == graph_optimization.optimize_graph(original, shape)


def test_nothing_slow_is_left(yunet_path: Path, sface_path: Path) -> None:
    yunet, sface = (onnx.load(path).graph for path in (yunet_path, sface_path))

    assert [value.name for value in sface.input] == ["data"]
    assert {node.op_type for node in sface.node} == {
        "Sub",
        "Mul",
        "Conv",
        "Relu",
        "Add",
        "Flatten",
        "Gemm",
        "BatchNormalization",
    }
    assert Counter(node.op_type for node in yunet.node)["Conv"] == 35


slopes = st.lists(st.floats(-2, 3, width=32), min_size=4, max_size=4)


@settings(max_examples=30, deadline=None)
@given(slopes=slopes, depthwise=st.booleans(), seed=st.integers(0, 2**16))
def test_a_prelu_of_any_slope_is_rewritten_exactly(slopes: list[float], depthwise: bool, seed: int) -> None:
    """Slopes above 1 and of exactly 1 are the critical ones."""
    original = _small_net(np.array(slopes, np.float32), depthwise, seed)
    x = np.random.default_rng(seed).normal(size=(1, 3, 6, 6)).astype(np.float32)

    prepared = graph_optimization.optimize_graph(original, [1, 3, 6, 6])

    (expected,), (found,) = _run(original, x), _run(prepared, x)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def _run(model: bytes, x: Array) -> list[Array]:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    outputs: list[Array] = session.run(None, {"x": x})
    return outputs


def _small_net(slopes: Array, depthwise: bool, seed: int) -> bytes:
    """Convolution, batch normalization, PRelu, convolution: the shape of every block of SFace."""
    random = np.random.default_rng(seed)
    group = 4 if depthwise else 1
    constants: dict[str, NDArray[Any]] = {
        "w1": random.normal(size=(4, 3, 3, 3)),
        "gamma": random.normal(size=4),
        "beta": random.normal(size=4),
        "mean": random.normal(size=4),
        "variance": random.uniform(0.1, 2, size=4),
        "slopes": slopes.reshape(4, 1, 1),
        "w2": random.normal(size=(4, 4 // group, 3, 3)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=1),
        helper.make_node("BatchNormalization", ["a", "gamma", "beta", "mean", "variance"], ["b"], epsilon=1e-3),
        helper.make_node("PRelu", ["b", "slopes"], ["c"]),
        helper.make_node("Conv", ["c", "w2"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=group),
    ]
    graph = helper.make_graph(
        nodes,
        "block",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 6, 6])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4, 6, 6])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())
