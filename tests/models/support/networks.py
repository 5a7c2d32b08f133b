"""Small generated networks with the inputs and outputs of the deblurring network: every backend must run these."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 128
SUPPORT = 49


class Drawing:
    """Builder of an ONNX graph; random weights by seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def convolution(self, source: str, channels: int, width: int, stride: int = 1, gain: float = 1.4) -> str:
        weights = self._random.normal(0, gain / np.sqrt(9 * channels), (width, channels, 3, 3)).astype(np.float32)
        bias = self._random.normal(0, 0.01, width).astype(np.float32)
        inputs = (source, self.constant(weights), self.constant(bias))
        return self.node("Conv", *inputs, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[stride, stride])

    def image(self, source: str) -> str:
        planes = self.node("Transpose", self.node("Cast", source, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
        return self.node("Div", planes, self.constant(np.float32(255)))


def deblurring(width: int = 8, seed: int = 0) -> bytes:
    """A residual U-net of two levels on pixel-unshuffled crops, as ONNX, with the inputs and outputs of the deblurring
    network."""
    net = Drawing(seed)
    crop, hint, others = (net.image(name) for name in ("crops", "hints", "others"))
    motion = net.node("Reshape", "motion", net.constant(np.array([0, 2, 1, 1])))
    planes = net.node("Add", motion, net.constant(np.zeros((1, 2, SIDE // 2, SIDE // 2), np.float32)))
    unshuffled = [net.node("SpaceToDepth", image, blocksize=2) for image in (crop, hint, others)]
    seen = net.node("Concat", *unshuffled, planes, axis=1)
    fine = net.node("Relu", net.convolution(seen, 50, width))
    coarse = net.node("Relu", net.convolution(fine, width, 2 * width, stride=2))
    up = net.node("DepthToSpace", net.convolution(coarse, 2 * width, 4 * width), blocksize=2)
    joined = net.node("Relu", net.node("Add", up, fine))
    residual = net.node("DepthToSpace", net.convolution(joined, width, 12, gain=0.2), blocksize=2)
    levels = net.node("Mul", net.node("Add", crop, residual), net.constant(np.float32(255)))
    bounds = (net.constant(np.float32(0)), net.constant(np.float32(255)))
    whole = net.node("Transpose", net.node("Clip", net.node("Round", levels), *bounds), perm=[0, 2, 3, 1])
    net.nodes.append(helper.make_node("Cast", [whole], ["restored"], name="restored", to=TensorProto.UINT8))
    corner = (net.constant(np.array(each)) for each in ([0, 0, 0], [1, SUPPORT, SUPPORT], [1, 2, 3]))
    places = net.node("Reshape", net.node("Slice", fine, *corner), net.constant(np.array([-1, SUPPORT**2])))
    kernels = net.node("Softmax", places, axis=1), net.constant(np.array([-1, SUPPORT, SUPPORT]))
    net.nodes.append(helper.make_node("Reshape", list(kernels), ["kernels"], name="kernels"))
    return _model(net)


def inputs(rows: int, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Generate noise in the shapes of the inputs."""
    random = np.random.default_rng(seed)
    crops, hints = (random.integers(0, 256, (rows, SIDE, SIDE, 3), np.uint8) for _ in range(2))
    motion = random.uniform(-1, 1, (rows, 2)).astype(np.float32)
    return [crops, hints, motion, random.integers(0, 256, (rows, SIDE, SIDE, 6), np.uint8)]


def _model(net: Drawing) -> bytes:
    def images(name: str, colors: int = 3) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", SIDE, SIDE, colors])

    motion = helper.make_tensor_value_info("motion", TensorProto.FLOAT, ["N", 2])
    sources = [images("crops"), images("hints"), motion, images("others", 6)]
    kernels = helper.make_tensor_value_info("kernels", TensorProto.FLOAT, ["N", SUPPORT, SUPPORT])
    graph = helper.make_graph(net.nodes, "deblurring", sources, [images("restored"), kernels], net.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
