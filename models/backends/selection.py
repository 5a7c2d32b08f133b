"""Selects the backend of a network: from the fastest to the one that is always available.

ONNX is the only format. The application loads a session once and passes it to the stage that uses it. If `load` raises
ModelError for the deblurring network, the application uses Richardson-Lucy, which needs none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import onnxruntime as ort
import structlog

from models.backends import nvidia_driver, openvino_backend, parity_check, tensorrt_plans, torch_backend
from models.backends.onnxruntime_backend import OnnxRuntime
from models.backends.openvino_backend import OpenVino
from models.backends.session import NetworkSession
from models.backends.tensorrt_backend import TensorRtSession
from models.backends.torch_backend import TorchCuda
from models.errors import ModelError

__all__ = [
    "FALLBACK_ORDER",
    "Backend",
    "BackendState",
    "Loaded",
    "ModelError",
    "NetworkSession",
    "backends",
    "choice",
    "load",
    "select_backend",
]

BackendName = Literal["tensorrt", "tensorrt-rtx", "cuda", "onnxruntime", "openvino", "openvino-bf16"]
Backend = Literal["auto", BackendName]
NAMES: tuple[BackendName, ...] = get_args(BackendName)

FALLBACK_ORDER: tuple[BackendName, ...] = ("tensorrt", "tensorrt-rtx", "cuda", "onnxruntime", "openvino")
"""Backends that `auto` tries, in this order. openvino-bf16 is used only by name: it rounds more than the others."""

_log = structlog.get_logger(__name__)


class BackendState(NamedTuple):
    """Whether a backend can be used here, with its version or the reason why not."""

    name: str
    usable: bool
    detail: str


class Loaded(NamedTuple):
    """A loaded network, and the reasons why earlier backends of the order were not used."""

    session: NetworkSession
    passed_over: Mapping[str, str]


def load(path: Path, backend: Backend = "auto", threads: int = 1, sha256: str | None = None) -> NetworkSession:
    """Load a network as `select_backend` does, without the reasons."""
    return select_backend(path, backend, threads, sha256).session


def select_backend(path: Path, backend: Backend = "auto", threads: int = 1, sha256: str | None = None) -> Loaded:
    """Load an ONNX file with a backend, or with the first of the order that runs it and agrees with the CPU.

    `threads` is per call, on a CPU; the stages run in parallel, so that 1 is best on few cores.
    `sha256` (64 hexadecimal digits) is that of the file: any other file is refused.
    Raises ModelError if the file is missing or another one, or the given backend cannot run it, or none can.
    """
    if not path.is_file():
        raise ModelError(f"no model at {path}: run `unblur doctor` to see what is missing")
    if sha256 is not None:
        _require_sha256(path, sha256)
    return _load_first(path, threads) if backend == "auto" else Loaded(_open(backend, path, threads), {})


def backends() -> list[BackendState]:
    """Return the state of every backend, loaded as far as that is safe."""
    return [_state(name) for name in NAMES]


def choice(states: list[BackendState]) -> str:
    """Return the first usable backend of the order: that of `auto`, if it also agrees with the CPU on a probe."""
    usable = {state.name for state in states if state.usable}
    return next(name for name in FALLBACK_ORDER if name in usable)


def open_backend(name: str, path: Path, threads: int = 1) -> NetworkSession:
    """Load a network with one backend in this process, which it may crash. Raises ModelError."""
    if name not in _OPENERS:
        raise ModelError(f"no backend is called {name!r}: there are {', '.join(NAMES)}")
    return _OPENERS[name](path, threads)


_OPENERS: dict[str, Callable[[Path, int], NetworkSession]] = {
    "tensorrt": lambda path, _: TensorRtSession("tensorrt", path),
    "tensorrt-rtx": lambda path, _: TensorRtSession("tensorrt-rtx", path),
    "cuda": lambda path, _: TorchCuda(path),
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "openvino-bf16": lambda path, threads: OpenVino(path, threads, "bf16"),
}


_ON_GPU: dict[str, Callable[[], None]] = {
    "tensorrt": lambda: tensorrt_plans.require_installed("tensorrt"),
    "tensorrt-rtx": lambda: tensorrt_plans.require_installed("tensorrt-rtx"),
    "cuda": torch_backend.require_installed,
}
"""Backends that may crash the program, and are therefore tested in a subprocess first; each with its precondition."""


def _load_first(path: Path, threads: int) -> Loaded:
    passed_over: dict[str, str] = {}
    for name in FALLBACK_ORDER:
        try:
            session = _open(name, path, threads)
        except ModelError as error:
            passed_over[name] = str(error)
        else:
            log = _log.info if nvidia_driver.installed() else _log.debug  # without a GPU the choice is no news
            log("backend chosen", network=path.name, backend=name, passed_over=passed_over)
            return Loaded(session, passed_over)
    reasons = "; ".join(f"{name}: {reason}" for name, reason in passed_over.items())
    raise ModelError(f"no backend runs {path}: {reasons}")


def _open(name: BackendName, path: Path, threads: int) -> NetworkSession:
    if name in _ON_GPU:
        nvidia_driver.gpu()
        _ON_GPU[name]()
        parity_check.verify_in_subprocess(name, path)
    return open_backend(name, path, threads)


def _require_sha256(path: Path, sha256: str) -> None:
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            raise ModelError(f"{path} is not the network that is expected (sha256 differs): refused")


def _state(name: BackendName) -> BackendState:
    try:
        return BackendState(name, True, _version(name))
    except ModelError as error:
        return BackendState(name, False, str(error))


def _version(name: BackendName) -> str:
    """Return the version of a backend. Raises ModelError if it cannot be used here."""
    match name:
        case "onnxruntime":
            return str(ort.__version__)
        case "openvino":
            return openvino_backend.version("f32")
        case "openvino-bf16":
            return openvino_backend.version("bf16")
        case "cuda":
            machine = nvidia_driver.gpu()
            return f"PyTorch {torch_backend.version()} on {machine.name}"
        case "tensorrt" | "tensorrt-rtx":
            machine = nvidia_driver.gpu()
            return f"{tensorrt_plans.library(name).__version__} on {machine.name}"
