"""Running a network: one session, whatever the backend.

ONNX is the one format. A session is loaded once, in the front door, and handed to the stage that uses it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Backend = Literal["auto", "onnxruntime", "openvino"]


class ModelError(RuntimeError):
    """A network is missing, not the one that was pinned, or no backend can run it."""

    exit_status = 2


class Session(Protocol):
    """A loaded network. Safe to call from several threads, one call at a time each."""

    @property
    def backend(self) -> str: ...
    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """One forward pass: the network's only input (N first) to its outputs, in the graph's order."""
        ...


def load(path: Path, backend: Backend = "auto", threads: int = 1) -> Session:
    """Load an ONNX file. `auto` takes OpenVINO where it is installed, else ONNX Runtime.

    `threads` is per call; the stages run beside each other, so that 1 is best on few cores.
    Raises ModelError if the file does not load, or the backend that was named is not installed.
    """
    chosen = _available() if backend == "auto" else backend
    if not path.is_file():
        raise ModelError(f"no model at {path}: run `unblur doctor` to see what is missing")
    return OpenVino(path, threads) if chosen == "openvino" else OnnxRuntime(path, threads)


def _available() -> Backend:
    return "openvino" if importlib.util.find_spec("openvino") else "onnxruntime"


class OnnxRuntime:
    """ONNX Runtime on the CPU."""

    backend = "onnxruntime"

    def __init__(self, path: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"{path.name} does not load in ONNX Runtime: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = self._session.run(None, {self._input: batch})
        return outputs


class OpenVino:
    """OpenVINO on the CPU, in float32 so that every machine gives the same names."""

    backend = "openvino"

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import openvino  # noqa: PLC0415  optional, and slow to import
        except ImportError as error:
            raise ModelError("openvino is not installed: pip install 'unblur[openvino]'") from error
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled = openvino.Core().compile_model(str(path), "CPU", settings)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        results = self._compiled.create_infer_request().infer({0: batch})
        return [results[port] for port in self._compiled.outputs]
