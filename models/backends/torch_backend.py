"""Runs a network on an NVIDIA GPU by PyTorch, for GPUs or networks that TensorRT does not support.

onnx2pytorch converts the ONNX graph to a module, so that ONNX stays the only format.
ONNX Runtime's CUDA provider would be no less code, but its package replaces that of the CPU and breaks it.
"""

from __future__ import annotations

import threading
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from types import ModuleType
from typing import Any

import numpy as np

from models.backends.session import Tensor
from models.errors import ModelError

INSTALL = "pip install 'unblur[cuda]'"


class TorchCuda:
    """A network in PyTorch, in float32, on the first GPU.

    `device` is for parity tests: the same code runs on "cpu". Raises ModelError if it cannot run here.
    """

    backend = "cuda"

    def __init__(self, path: Path, device: str = "cuda") -> None:
        self._torch, converter = _libraries()
        if device == "cuda" and not self._torch.cuda.is_available():
            raise ModelError(f"PyTorch {self._torch.__version__} finds no GPU that it can use")
        self._device = device
        self._module = _convert(path, converter).eval().to(device)
        self.names: list[str] = self._module.input_names
        self._lock = threading.Lock()

    def run(self, *inputs: Tensor) -> list[Tensor]:
        torch = self._torch
        tensors = [torch.from_numpy(np.ascontiguousarray(each)) for each in inputs]
        # TF32 keeps ten bits of a float's 23; names must not depend on the backend.
        with self._lock, torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            try:
                results = self._module(*(tensor.to(self._device) for tensor in tensors))
            except RuntimeError as error:
                raise ModelError(f"PyTorch cannot run the network: {shorten(str(error), 240)}") from error
            outputs = [results] if torch.is_tensor(results) else results
            return [output.cpu().numpy() for output in outputs]


def require_installed() -> None:
    """Raise ModelError if PyTorch or the converter is not installed; loads neither."""
    for name in ("torch", "onnx2pytorch"):
        if find_spec(name) is None:
            raise ModelError(f"{name} is not installed: {INSTALL}")


def version() -> str:
    """Return PyTorch's version. Raises ModelError if it cannot be used here."""
    torch, _ = _libraries()
    return str(torch.__version__)


def _libraries() -> tuple[ModuleType, ModuleType]:
    require_installed()
    try:
        return import_module("torch"), import_module("onnx2pytorch")
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(f"PyTorch does not load: {shorten(str(error), 240)}") from error


def _convert(path: Path, converter: ModuleType) -> Any:
    import onnx  # noqa: PLC0415  slow, and needed by this backend alone
    from google.protobuf.message import DecodeError  # noqa: PLC0415  as above

    from models.weight_compression import decompress_weights  # noqa: PLC0415  as above

    with warnings.catch_warnings():
        # It warns of all attributes that torch lacks, whether or not they matter; parity is tested instead.
        warnings.simplefilter("ignore")
        try:
            return converter.ConvertModel(decompress_weights(onnx.load(path)))
        except (DecodeError, NotImplementedError, AttributeError, KeyError, ValueError) as error:
            raise ModelError(f"{path} does not load in PyTorch: {shorten(str(error), 240)}") from error
