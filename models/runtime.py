"""Running a network: one session, whatever the backend.

ONNX is the one format. A session is loaded once, in the front door, and handed to the stage that uses it.
"""

from __future__ import annotations

import importlib.util
from collections import deque
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as native

from models.errors import ModelError

__all__ = ["Backend", "BackendState", "ModelError", "OnnxRuntime", "OpenVino", "Session", "backends", "load"]

Backend = Literal["auto", "onnxruntime", "openvino"]

SHAPES = 8
"""How many input shapes OpenVINO keeps compiled: detection sizes or batch sizes in use at one time."""


class Session(Protocol):
    """A loaded network. Safe to call from several threads at once."""

    @property
    def backend(self) -> str: ...
    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """One forward pass: the network's only input (N first) to its outputs, in the graph's order."""
        ...


class BackendState(NamedTuple):
    """Whether a backend can be used here, and its version or why it cannot."""

    name: str
    usable: bool
    detail: str


def load(path: Path, backend: Backend = "auto", threads: int = 1) -> Session:
    """Load an ONNX file. `auto` takes ONNX Runtime, which `models.fold` prepares the networks for.

    `threads` is per call; the stages run beside each other, so that 1 is best on few cores.
    Raises ModelError if the file does not load, or the backend that was named is not installed.
    """
    if not path.is_file():
        raise ModelError(f"no model at {path}: run `unblur doctor` to see what is missing")
    return OpenVino(path, threads) if backend == "openvino" else OnnxRuntime(path, threads)


class OnnxRuntime:
    """ONNX Runtime on the CPU."""

    backend = "onnxruntime"

    def __init__(self, path: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # An idle thread that spins takes its core from the other stages.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except _LOADING as error:
            raise ModelError(f"{path} does not load in ONNX Runtime: {_line(error)}") from error
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = self._session.run(None, {self._input: batch})
        return outputs


# What ONNX Runtime raises for a file that it cannot load; the types share no base but Exception.
_LOADING = (
    native.Fail,
    native.InvalidArgument,
    native.InvalidGraph,
    native.InvalidProtobuf,
    native.NoSuchFile,
    native.NotImplemented,
    native.RuntimeException,
)


class OpenVino:
    """OpenVINO on the CPU, in float32 so that every machine gives the same names.

    It runs free axes at half the speed, so that each input shape is compiled for itself when it first comes.
    """

    backend = "openvino"

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import openvino  # optional, and slow to import
        except ImportError as error:
            raise ModelError("openvino is not installed: pip install 'unblur[openvino]'") from error
        self._settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._core = openvino.Core()
        try:
            self._model = self._core.read_model(str(path))
        except RuntimeError as error:
            raise ModelError(f"{path} does not load in OpenVINO: {_line(error)}") from error
        self._program = lru_cache(SHAPES)(self._compile)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return self._program(batch.shape).run(batch)

    def _compile(self, shape: tuple[int, ...]) -> _Program:
        model = self._model.clone()
        model.reshape(list(shape))
        return _Program(self._core.compile_model(model, "CPU", self._settings))


class _Program:
    """A network compiled for one shape. A request serves one call at a time, so each thread borrows one."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._idle: deque[Any] = deque()

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        results = request.infer({0: batch})
        self._idle.append(request)
        return [results[port] for port in self._compiled.outputs]


def backends() -> list[BackendState]:
    """Every backend that there is a name for, loaded if it is installed."""
    return [
        BackendState("onnxruntime", True, ort.__version__),
        _openvino_state(),
        _unused("tensorrt", _installed("tensorrt")),
        _unused("tensorrt-rtx", _installed("tensorrt_rtx")),
        _unused("cuda", "CUDAExecutionProvider" in ort.get_available_providers()),
    ]


def _openvino_state() -> BackendState:
    if not _installed("openvino"):
        return BackendState("openvino", False, "not installed: pip install 'unblur[openvino]'")
    try:
        import openvino
    except (ImportError, OSError) as error:
        return BackendState("openvino", False, f"does not load: {_line(error)}")
    return BackendState("openvino", True, openvino.__version__)


def _unused(name: str, installed: bool) -> BackendState:
    return BackendState(name, False, "installed, not used yet by this version" if installed else "not installed")


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _line(error: Exception) -> str:
    return shorten(str(error), 240)
