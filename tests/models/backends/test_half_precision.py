from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from models.backends import parity_check
from models.backends.half_precision import to_float16
from models.backends.onnxruntime_backend import OnnxRuntime
from models.errors import ModelError
from tests.models.support import networks


def test_weights_are_half_and_inputs_and_outputs_keep_their_types(deblurring_path: Path) -> None:
    network = onnx.load_from_string(to_float16(deblurring_path))
    onnx.checker.check_model(network, full_check=True)
    graph = network.graph

    kinds = {weights.data_type for weights in graph.initializer}
    assert kinds == {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64}
    ports = [value.type.tensor_type for value in (*graph.input, *graph.output)]
    uint8, float32 = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT
    assert [port.elem_type for port in ports] == [uint8, uint8, float32, uint8, uint8, float32]
    assert all(port.shape.dim[0].dim_param == "N" for port in ports)


def test_it_gives_what_the_whole_network_gives_to_a_level(deblurring_path: Path, tmp_path: Path) -> None:
    smaller = tmp_path / "half.onnx"
    smaller.write_bytes(to_float16(deblurring_path))
    crops = networks.inputs(4)

    ours, theirs = (OnnxRuntime(path, 1).run(*crops)[0].astype(int) for path in (smaller, deblurring_path))
    assert np.abs(ours - theirs).max() <= 1
    assert np.abs(ours - crops[0]).max() > 20, "the network does something"


def test_the_same_file_gives_the_same_bytes(deblurring_path: Path) -> None:
    assert to_float16(deblurring_path) == to_float16(deblurring_path)


def test_networks_with_float_inputs_convert_too(sface_path: Path, tmp_path: Path) -> None:
    smaller = tmp_path / "half.onnx"
    smaller.write_bytes(to_float16(sface_path))

    assert parity_check.compare(OnnxRuntime(smaller, 1), OnnxRuntime(sface_path, 1)) < parity_check.TOLERANCE / 2


def test_what_cannot_be_halved_is_refused(deblurring_path: Path, tmp_path: Path) -> None:
    garbage, again = tmp_path / "garbage.onnx", tmp_path / "half.onnx"
    garbage.write_bytes(b"no network")
    again.write_bytes(to_float16(deblurring_path))

    with pytest.raises(ModelError, match=r"garbage\.onnx is no valid ONNX network"):
        to_float16(garbage)
    with pytest.raises(ModelError, match=r"half\.onnx has no float32 weights to convert"):
        to_float16(again)
