"""TensorRT plans: built from ONNX and kept in the user's cache, from which only files written here are loaded.

The same code for NVIDIA's two libraries, TensorRT and TensorRT for RTX, which share their interface. Both take each
layer's precision from the graph ("strongly typed"), so that a plan in half precision is built from a graph in half
precision.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

from filelock import FileLock

from models.assets import cache
from models.backends.nvidia_driver import Gpu
from models.errors import ModelError

Library = Literal["tensorrt", "tensorrt-rtx"]
LIBRARIES: tuple[Library, ...] = get_args(Library)
MODULES: dict[Library, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
INSTALL: dict[Library, str] = {"tensorrt": "pip install tensorrt", "tensorrt-rtx": "pip install 'unblur[tensorrt]'"}

PROFILE = (1, 8, 32)
"""Batch sizes: minimum, optimum, maximum."""
KEPT = 16
"""Plans in the cache; the oldest are deleted, since each new driver or library needs its own."""
WIDE = "/cause/"
"""Part of the names of nodes that sum spectra (`deblur/train/kernel_head.py`): half precision is too coarse for
them."""
_HEAVY = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY")
"""The layers that take most time; all must be in half precision, except products that sum spectra."""


def require_installed(name: Library) -> None:
    """Raise ModelError if the library is not installed; does not load it."""
    if find_spec(MODULES[name]) is None:
        raise ModelError(f"{name} is not installed: {INSTALL[name]}")


def library(name: Library) -> ModuleType:
    """Import the library at its first use. Raises ModelError if it is not installed or does not load."""
    require_installed(name)
    try:
        return import_module(MODULES[name])
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(f"{name} does not load: {' '.join(str(error).split())}") from error


def key(trt: ModuleType, network: bytes, gpu: Gpu) -> str:
    """Return the cache key of a plan, 64 hexadecimal digits: a hash of everything that it depends on."""
    parts = {
        "onnx": hashlib.sha256(network).hexdigest(),
        "library": [trt.__name__, trt.__version__],
        "gpu": gpu._asdict(),
        "profile": PROFILE,
        "flags": "strongly typed",
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def plan(trt: ModuleType, network: bytes, gpu: Gpu) -> bytes:
    """Return the plan of an ONNX graph in half precision for a GPU, from the cache or built (seconds to minutes).

    A plan whose header or bytes do not match is built again. One process builds,
    the others wait. Raises ModelError.
    """
    name = key(trt, network, gpu)
    file = _folder() / f"{name}.plan"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.parent / ".lock"):
            return _read_valid(file, name) or _build_and_store(trt, network, file)
    except OSError as error:
        raise ModelError(f"plans cannot be kept in {file.parent}: {error.strerror or error}") from error


def _build_and_store(trt: ModuleType, network: bytes, file: Path) -> bytes:
    content = build(trt, network)
    cache.write(file, _header(file.stem, content) + content)
    _prune(file.parent)
    return content


def discard(trt: ModuleType, network: bytes, gpu: Gpu) -> None:
    """Delete a plan that the library refuses."""
    (_folder() / f"{key(trt, network, gpu)}.plan").unlink(missing_ok=True)


def _folder() -> Path:
    return cache.folder() / "plans"


def _header(name: str, content: bytes) -> bytes:
    """Return the header of a plan: its key and sha256."""
    return f"{name} {hashlib.sha256(content).hexdigest()}\n".encode("ascii")


def _read_valid(file: Path, name: str) -> bytes | None:
    if not file.is_file():
        return None
    header, newline, content = file.read_bytes().partition(b"\n")
    return content if header + newline == _header(name, content) else None


def build(trt: ModuleType, network: bytes) -> bytes:
    """Build a plan with `tensorrt` or `tensorrt_rtx`; TensorRT for RTX needs no GPU for it.

    Raises ModelError, with the library's messages, if it refuses the graph, or a heavy layer is not in half precision.
    """
    messages: deque[str] = deque(maxlen=4)
    logger = _logger(trt, messages.append)
    builder = trt.Builder(logger)
    definition = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(definition, logger)
    if not parser.parse(network):
        raise ModelError(f"{trt.__name__} does not take the network: {parser.get_error(0).desc()}")
    require_half(precisions(definition))
    config = builder.create_builder_config()
    config.add_optimization_profile(_profile(builder, definition))
    serialized = builder.build_serialized_network(definition, config)
    if serialized is None:
        raise ModelError(
            f"{trt.__name__} {trt.__version__} builds no plan: {'; '.join(messages) or 'it does not say why'}"
        )
    return bytes(serialized)


def precisions(definition: Any) -> list[tuple[str, str]]:
    """Return the heavy layers of a network definition by name, each with its output type ("HALF", "FLOAT")."""
    layers = (definition.get_layer(index) for index in range(definition.num_layers))
    return [(layer.name, layer.get_output(0).dtype.name) for layer in layers if _is_heavy(layer)]


def _is_heavy(layer: Any) -> bool:
    kind = layer.type.name
    return kind in _HEAVY and not (kind == "MATRIX_MULTIPLY" and WIDE in layer.name)


def require_half(layers: list[tuple[str, str]]) -> None:
    """Raise ModelError unless there are heavy layers and all are in half precision."""
    others = [name for name, kind in layers if kind != "HALF"]
    if others or not layers:
        raise ModelError(f"{len(others)} of {len(layers)} heavy layers are not in half precision: {others[:3]}")


def _profile(builder: Any, definition: Any) -> Any:
    profile = builder.create_optimization_profile()
    for tensor in (definition.get_input(index) for index in range(definition.num_inputs)):
        batch, *rest = tensor.shape
        if batch != -1 or -1 in rest:
            raise ModelError(f"the network's input {tensor.name} is {tuple(tensor.shape)}: only the batch may be free")
        profile.set_shape(tensor.name, *((count, *rest) for count in PROFILE))
    return profile


def _strongly_typed(trt: ModuleType) -> int:
    """Return the flag for precision by the graph. From TensorRT 11 on this is the only mode, without a flag."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _logger(trt: ModuleType, record: Callable[[str], object]) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()  # required by the bindings

        def log(self, severity: Any, message: str) -> None:
            if int(severity) <= int(trt.ILogger.ERROR):
                record(" ".join(message.split()))

    return Logger()


def _prune(folder: Path) -> None:
    plans = sorted(folder.glob("*.plan"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in plans[KEPT:]:
        old.unlink()
