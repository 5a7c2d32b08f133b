"""Converts a network to half precision, for TensorRT plans, and to full precision; both for `unblur export`."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.checker import ValidationError, check_model
from onnx.shape_inference import InferenceError
from onnxruntime.transformers.float16 import convert_float_to_float16

from models.backends.tensorrt_plans import WIDE
from models.errors import ModelError
from models.weight_compression import decompress_weights

_FLOAT = onnx.TensorProto.FLOAT


def to_float16(path: Path) -> bytes:
    """Convert an ONNX file to weights and arithmetic in float16; its inputs and outputs keep their types.

    The same file always gives the same bytes. Raises ModelError if it is no valid network, or has no float32 weights.
    """
    try:
        network = decompress_weights(onnx.load(path))
        check_model(network)
    except (DecodeError, ValidationError) as error:
        raise ModelError(f"{path} is no valid ONNX network: {' '.join(str(error).split())[:240]}") from error
    if not any(weights.data_type == _FLOAT for weights in network.graph.initializer):
        raise ModelError(f"{path} has no float32 weights to convert")
    wide = [node.name for node in network.graph.node if WIDE in node.name and node.op_type != "Conv"]
    converted = convert_float_to_float16(network, keep_io_types=True, node_block_list=wide)
    _repair_graph(converted)
    try:
        check_model(converted, full_check=True)
    except (ValidationError, InferenceError) as error:
        raise ModelError(f"{path} cannot be converted to float16: {' '.join(str(error).split())[:240]}") from error
    return bytes(converted.SerializeToString(deterministic=True))


def to_float32(path: Path) -> bytes:
    """Convert an ONNX file to weights and arithmetic in float32, also one with compressed weights."""
    return bytes(decompress_weights(onnx.load(path)).SerializeToString(deterministic=True))


def ports(network: bytes) -> tuple[list[str], list[str]]:
    """Return the names of an ONNX graph's inputs and outputs, in its order, which TensorRT does not keep."""
    graph = onnx.load_from_string(network).graph
    return [value.name for value in graph.input], [value.name for value in graph.output]


def _repair_graph(network: onnx.ModelProto) -> None:
    """Sort the nodes topologically, since the converter puts its casts last; and remove the outdated types of inner
    values."""
    nodes = list(network.graph.node)
    producers = {output: number for number, node in enumerate(nodes) for output in node.output}
    dependencies = {
        number: [producers[name] for name in node.input if name in producers] for number, node in enumerate(nodes)
    }
    del network.graph.node[:]
    network.graph.node.extend(nodes[number] for number in TopologicalSorter(dependencies).static_order())
    del network.graph.value_info[:]
