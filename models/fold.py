"""Preparing a pinned network once, when it is fetched: block-quantised weights become plain float32.

ONNX Runtime and OpenCV's newer engine do not load block-wise DequantizeLinear (opset 21) on constants; everything
loads the folded file. The network computes what it computed before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from models.errors import ModelError

VERSION = 1
"""Counts the changes of this module that change the prepared bytes."""


def prepare(original: bytes, shape: Sequence[int | str]) -> bytes:
    """The ONNX file `original` folded; its input gets `shape` (N, C, H, W; a name frees the axis)."""
    try:
        model = onnx.load_from_string(original)
    except DecodeError as error:
        raise ModelError("the network is not an ONNX file") from error
    _fold_constants(model.graph)
    _tidy(model.graph, shape)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _fold_constants(graph: onnx.GraphProto) -> None:
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        inputs = [constants.get(name) for name in node.input]
        known = [value for value in inputs if value is not None]
        if node.op_type == "DequantizeLinear" and len(known) == len(inputs):
            constants[node.output[0]] = _dequantised(node, *known)
        elif node.op_type == "Reshape" and len(known) == len(inputs):
            constants[node.output[0]] = known[0].reshape(known[1])
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    del graph.initializer[:]
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items() if k in used)


def _dequantised(
    node: onnx.NodeProto, x: NDArray[np.int8], scale: NDArray[np.float32], zero: NDArray[np.int8]
) -> NDArray[np.float32]:
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    axis, block = options.get("axis", 1), options.get("block_size", 0)
    if block:
        index = np.arange(x.shape[axis]) // block
        scale, zero = scale.take(index, axis), zero.take(index, axis)
    return (x.astype(np.float32) - zero.astype(np.float32)) * scale


def _tidy(graph: onnx.GraphProto, shape: Sequence[int | str]) -> None:
    """Constants leave the inputs, Dropout goes, and no stale shape contradicts the free axes."""
    read = {name for node in graph.node for name in node.input} - {tensor.name for tensor in graph.initializer}
    real = [value for value in graph.input if value.name in read]
    del graph.input[:]
    graph.input.extend(real)
    for axis, size in zip(graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        if isinstance(size, str):
            axis.dim_param = size
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
