"""Stores a network's weights in float16 and restores them to float32: half the size without a visible difference.

ONNX Runtime and OpenVINO fold the casts away when they load the file, so that speed and arithmetic are those of
float32; the others get the network from `decompress_weights`.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.helper import get_attribute_value, make_node

_LEAST = 256
"""Smaller tensors, mostly biases, are not converted."""


def compress_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with its large float32 weights as float16, each followed by a Cast."""
    result = _copy(model)
    casts = []
    for weights in result.graph.initializer:
        values = numpy_helper.to_array(weights)
        if weights.data_type == TensorProto.FLOAT and values.size >= _LEAST:
            name = weights.name
            weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(make_node("Cast", [f"{name}_half"], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *result.graph.node]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def decompress_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with float32 weights and no casts, for backends that do not fold them."""
    result = _copy(model)
    halves = {each.name: each for each in result.graph.initializer if each.data_type == TensorProto.FLOAT16}
    casts = [node for node in result.graph.node if _casts_to_float32(node) and node.input[0] in halves]
    for cast in casts:
        weights = halves[cast.input[0]]
        weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights).astype(np.float32), cast.output[0]))
        result.graph.node.remove(cast)
    return result


def _casts_to_float32(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and get_attribute_value(node.attribute[0]) == TensorProto.FLOAT


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    return result
