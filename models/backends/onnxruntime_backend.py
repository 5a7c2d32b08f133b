"""ONNX Runtime on the CPU: the reference of all other backends."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as native

from models.backends.session import Port, Tensor
from models.errors import ModelError

# Errors of ONNX Runtime; the types share no base but Exception.
_FAILURES = (
    native.Fail,
    native.InvalidArgument,
    native.InvalidGraph,
    native.InvalidProtobuf,
    native.NoSuchFile,
    native.NotImplemented,
    native.RuntimeException,
)
_DTYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxRuntime:
    """A network in ONNX Runtime. Raises ModelError if the file does not load."""

    backend = "onnxruntime"

    def __init__(self, path: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # An idle thread that spins takes its core from the other stages.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except _FAILURES as error:
            raise ModelError(f"{path} does not load in ONNX Runtime: {shorten(str(error), 240)}") from error
        self.names = [node.name for node in self._session.get_inputs()]

    def run(self, *inputs: Tensor) -> list[Tensor]:
        try:
            outputs: list[Tensor] = self._session.run(None, dict(zip(self.names, inputs, strict=True)))
        except _FAILURES as error:
            raise ModelError(f"ONNX Runtime cannot run the network: {shorten(str(error), 240)}") from error
        return outputs

    @property
    def inputs(self) -> list[Port]:
        """The network's inputs, in the graph's order. Raises ModelError for a type that no network of unblur has."""
        return [_port(node) for node in self._session.get_inputs()]


def _port(node: ort.NodeArg) -> Port:
    if node.type not in _DTYPES:
        raise ModelError(f"the network's input {node.name} is {node.type}: only {', '.join(_DTYPES)} can be given")
    shape = tuple(axis if isinstance(axis, int) else None for axis in node.shape)
    return Port(node.name, np.dtype(_DTYPES[node.type]), shape)
