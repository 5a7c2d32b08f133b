"""OpenVINO on the CPU: in float32, so that every machine gives the same names, or in bfloat16, for speed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from textwrap import shorten
from types import ModuleType
from typing import Any, Literal

from models.backends import batching
from models.backends.session import Tensor
from models.errors import ModelError

SHAPES = 8
"""Compiled input shapes that are kept: detection sizes or batch sizes in use at one time."""

Precision = Literal["f32", "bf16"]
NAMES: dict[Precision, str] = {"f32": "openvino", "bf16": "openvino-bf16"}


class OpenVino:
    """A network in OpenVINO, which runs free axes at half the speed: so each input shape is compiled at its first use.

    Raises ModelError if the library is not installed, the file does not load, or the CPU has no native support of
    the precision (it would then be slower).
    """

    def __init__(self, path: Path, threads: int, precision: Precision = "f32") -> None:
        openvino = library()
        self.backend = NAMES[precision]
        self._core = openvino.Core()
        if precision == "bf16" and not _has_bf16(self._core):
            raise ModelError("this processor does not calculate in bfloat16: use the backend openvino")
        self._settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            self._model = self._core.read_model(str(path))
        except RuntimeError as error:
            raise ModelError(f"{path} does not load in OpenVINO: {shorten(str(error), 240)}") from error
        self.names = [port.any_name for port in self._model.inputs]
        self._program = lru_cache(SHAPES)(self._compile)

    def run(self, *inputs: Tensor) -> list[Tensor]:
        return batching.run_split(self._forward, inputs)

    def _forward(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        try:
            return self._program(tuple(each.shape for each in inputs)).run(inputs)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot run the network: {shorten(str(error), 240)}") from error

    def _compile(self, shapes: tuple[tuple[int, ...], ...]) -> _Program:
        model = self._model.clone()
        model.reshape({port: list(shape) for port, shape in zip(model.inputs, shapes, strict=True)})
        return _Program(self._core.compile_model(model, "CPU", self._settings))


class _Program:
    """A network compiled for one shape. A request serves one call at a time, so each thread takes an idle one."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._idle: deque[Any] = deque()

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        results = request.infer(list(inputs))
        self._idle.append(request)
        return [results[port] for port in self._compiled.outputs]


def library() -> ModuleType:
    """Import OpenVINO at its first use. Raises ModelError if it is not installed or does not load."""
    try:
        return import_module("openvino")
    except ModuleNotFoundError as error:
        raise ModelError("openvino is not installed: pip install 'unblur[openvino]'") from error
    except (ImportError, OSError) as error:
        raise ModelError(f"openvino does not load: {shorten(str(error), 240)}") from error


def version(precision: Precision) -> str:
    """Return the library's version. Raises ModelError if OpenVINO cannot be used here in that precision."""
    openvino = library()
    if precision == "bf16" and not _has_bf16(openvino.Core()):
        raise ModelError("this processor does not calculate in bfloat16")
    return str(openvino.__version__)


def _has_bf16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
