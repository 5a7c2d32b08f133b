from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from models.weight_compression import compress_weights, decompress_weights
from tests.models.support import networks


@pytest.fixture(scope="module")
def network() -> onnx.ModelProto:
    return onnx.load_from_string(networks.deblurring(width=32))


def _restored(model: onnx.ModelProto) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString())
    names = [port.name for port in session.get_inputs()]
    restored: np.ndarray = session.run(None, dict(zip(names, networks.inputs(3), strict=True)))[0]
    return restored


def test_packing_halves_the_file_and_keeps_the_result(network: onnx.ModelProto) -> None:
    small = compress_weights(network)
    onnx.checker.check_model(small, full_check=True)
    assert small.ByteSize() < 0.6 * network.ByteSize()
    assert np.abs(_restored(small).astype(int) - _restored(network)).max() <= 1


def test_unpacking_gives_the_same_network_without_casts_of_weights(network: onnx.ModelProto) -> None:
    small = compress_weights(network)
    whole = decompress_weights(small)
    onnx.checker.check_model(whole, full_check=True)
    kinds = [[node.op_type for node in model.graph.node] for model in (network, whole)]
    assert kinds[0] == kinds[1]
    np.testing.assert_array_equal(_restored(whole), _restored(small))


def test_what_is_not_packed_stays_as_it_is(network: onnx.ModelProto) -> None:
    assert decompress_weights(network) == network
