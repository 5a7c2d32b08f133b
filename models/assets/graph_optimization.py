"""Optimizes a pinned network when it is fetched: the same function in plain float32, in a faster form.

ONNX Runtime runs neither pinned file: SFace's lists its weights among the inputs that a caller has to give, and YuNet's
gives a block size for weights with one scale. So the int8 weights become float32 constants. Besides, three
rewritings let ONNX Runtime keep its blocked NCHWc layout from the first convolution to the last one. All are exact but
for the rounding of float32:

- BatchNormalization goes into the convolution before it, or becomes a depthwise one.
- PRelu has no kernel in that layout. With slope a and d = 1 - a, PRelu(x) = a x + d relu(x) = d (relu(x) + (a / d) x):
  a Relu, a depthwise 1 x 1 convolution and a sum, while the factor d goes into the weights of the layer that reads it.
- Narrow convolutions do not fill a block: heads that read one tensor become one convolution and a Split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.helper import get_attribute_value, make_node

VERSION = 2
"""Counts the changes of this module that change the prepared bytes."""

Weights = NDArray[np.float64]


def optimize_graph(original: bytes, shape: Sequence[int | str]) -> bytes:
    """Optimize the ONNX file `original`; its input gets `shape` (N, C, H, W; a name frees the axis).

    The same input gives the same bytes. Written for the networks of the manifest, whose outputs the tests compare.
    """
    model = onnx.load_from_string(original)
    net = Net.of(model.graph)
    _fold_constants(net)
    _drop_dropout(net)
    _fold_batch_norms(net)
    _rewrite_prelus(net)
    _merge_heads(net)
    _write_back(net, model.graph, shape)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


@dataclass
class Net:
    """A graph under rewriting: nodes in order of execution, constants by name."""

    nodes: list[onnx.NodeProto]
    constants: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, graph: onnx.GraphProto) -> Net:
        return cls(list(graph.node), {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer})

    def writer(self, name: str) -> onnx.NodeProto | None:
        """Return the node that computes this tensor; None for the network's input."""
        return next((node for node in self.nodes if name in node.output), None)

    def readers(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if name in node.input]

    def weights(self, conv: onnx.NodeProto) -> Weights:
        """Out x in / group x height x width, in double precision."""
        return self.constants[conv.input[1]].astype(np.float64)

    def bias(self, conv: onnx.NodeProto) -> Weights:
        if len(conv.input) < 3:
            return np.zeros(self.constants[conv.input[1]].shape[0])
        return self.constants[conv.input[2]].astype(np.float64)

    def conv(self, source: str, target: str, weights: Weights, bias: Weights, **options: Any) -> onnx.NodeProto:
        """Create a convolution with new constants."""
        names = [f"{target}_weights", f"{target}_bias"]
        self.constants |= dict(zip(names, (weights.astype(np.float32), bias.astype(np.float32)), strict=True))
        return make_node("Conv", [source, *names], [target], **options)


def _options(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}


def _per_output(factor: Weights) -> Weights:
    return factor.reshape(-1, 1, 1, 1)


def _fold_constants(net: Net) -> None:
    kept = []
    for node in net.nodes:
        values = [net.constants[name] for name in node.input if name in net.constants]
        if node.op_type == "DequantizeLinear" and len(values) == 3:
            net.constants[node.output[0]] = _dequantize(node, *values)
        elif node.op_type == "Reshape" and len(values) == 2:
            net.constants[node.output[0]] = values[0].reshape(values[1])
        elif node.op_type != "Constant":  # only Dropout reads one
            kept.append(node)
    net.nodes = kept


def _dequantize(node: onnx.NodeProto, x: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any]) -> NDArray[np.float32]:
    """Compute (x - zero) scale, where scale and zero have one value for each block along an axis."""
    options = _options(node)
    axis, size = options["axis"], options["block_size"]
    block = np.arange(x.shape[axis]) // size
    whole: NDArray[np.float32] = x.astype(np.float32) - zero.take(block, axis).astype(np.float32)
    whole *= scale.take(block, axis)
    return whole


def _drop_dropout(net: Net) -> None:
    for node in [node for node in net.nodes if node.op_type == "Dropout"]:
        for reader in net.readers(node.output[0]):
            reader.input[0] = node.input[0]
        net.nodes.remove(node)


def _fold_batch_norms(net: Net) -> None:
    for node in [node for node in net.nodes if node.op_type == "BatchNormalization"]:
        gain, shift = _affine(net, node)
        before = net.writer(node.input[0])
        at = net.nodes.index(node)
        if before is None or before.op_type == "Gemm":
            continue
        if before.op_type == "Conv":
            weights, bias = net.weights(before) * _per_output(gain), net.bias(before) * gain + shift
            net.nodes[at] = net.conv(before.input[0], node.output[0], weights, bias, **_options(before))
            net.nodes.remove(before)
        else:
            weights, group = _per_output(gain), gain.size
            net.nodes[at] = net.conv(node.input[0], node.output[0], weights, shift, group=group, kernel_shape=[1, 1])


def _affine(net: Net, node: onnx.NodeProto) -> tuple[Weights, Weights]:
    """Return a batch normalization as gain and shift of each channel."""
    gamma, beta, mean, variance = (net.constants[name].astype(np.float64) for name in node.input[1:])
    gain = gamma / np.sqrt(variance + _options(node)["epsilon"])
    return gain, beta - mean * gain


def _rewrite_prelus(net: Net) -> None:
    for node in [node for node in net.nodes if node.op_type == "PRelu"]:
        (x, slope), y = node.input, node.output[0]
        a = net.constants[slope].astype(np.float64).reshape(-1)
        d = 1 - a
        if not d.all():
            continue  # a slope of exactly 1 leaves nothing to divide by
        for reader in net.readers(y):
            _scale_inputs(net, reader, d)
        linear = net.conv(x, f"{y}_linear", _per_output(a / d), np.zeros_like(a), group=a.size, kernel_shape=[1, 1])
        at = net.nodes.index(node)
        net.nodes[at : at + 1] = [
            make_node("Relu", [x], [f"{y}_positive"]),
            linear,
            make_node("Add", [linear.output[0], f"{y}_positive"], [y]),
        ]


def _scale_inputs(net: Net, conv: onnx.NodeProto, factor: Weights) -> None:
    """Scale a convolution's weights for input channels that are divided by their factors."""
    ungrouped = _options(conv)["group"] == 1
    scaled = net.weights(conv) * (factor.reshape(1, -1, 1, 1) if ungrouped else _per_output(factor))
    net.constants[conv.input[1]] = scaled.astype(np.float32)


def _merge_heads(net: Net) -> None:
    for source, first in list(_heads(net)):
        second = [net.readers(conv.output[0])[0] for conv in first]
        wide = _merge_convolutions(net, first, source, f"{source}_heads")
        deep = _merge_convolutions(net, second, wide.output[0], f"{source}_deep")
        sizes = f"{source}_sizes"
        net.constants[sizes] = np.array([net.weights(conv).shape[0] for conv in second], np.int64)
        split = make_node("Split", [deep.output[0], sizes], [conv.output[0] for conv in second], axis=1)
        at = net.nodes.index(first[0])
        net.nodes[at:at] = [wide, deep, split]
        for conv in (*first, *second):
            net.nodes.remove(conv)


def _heads(net: Net) -> Iterator[tuple[str, list[onnx.NodeProto]]]:
    """Yield tensors that several convolutions read, and these; each is followed by one depthwise convolution."""
    for source in dict.fromkeys(node.input[0] for node in net.nodes):
        convs = [node for node in net.readers(source) if node.op_type == "Conv"]
        if len(convs) > 1:
            yield source, convs


def _merge_convolutions(net: Net, convs: list[onnx.NodeProto], source: str, target: str) -> onnx.NodeProto:
    """Merge convolutions of one shape: their output channels in one tensor."""
    weights = np.concatenate([net.weights(conv) for conv in convs])
    bias = np.concatenate([net.bias(conv) for conv in convs])
    depthwise = weights.shape[1] == 1
    return net.conv(source, target, weights, bias, **{**_options(convs[0]), "group": len(weights) if depthwise else 1})


def _write_back(net: Net, graph: onnx.GraphProto, shape: Sequence[int | str]) -> None:
    """Write the net into the graph; stale shapes are removed, as they would contradict the free axes."""
    read = {name for node in net.nodes for name in node.input}
    inputs = [value for value in graph.input if value.name in read - net.constants.keys()]
    for axis, size in zip(inputs[0].type.tensor_type.shape.dim, shape, strict=True):
        if isinstance(size, str):
            axis.dim_param = size
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    for field in ("node", "initializer", "input", "value_info"):
        graph.ClearField(field)
    graph.node.extend(net.nodes)
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in net.constants.items() if k in read)
    graph.input.extend(inputs)
