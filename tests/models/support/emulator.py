"""An emulated GPU: the part of NVIDIA's two interfaces that a session uses, in main memory.

It checks what real hardware would punish: addresses outside what was allocated, shapes outside the profile, work queued
before every address is known, and anything but recording while a graph is being recorded. The arithmetic is ONNX
Runtime's. What it cannot show is that NVIDIA's libraries do what their documentation says.
"""

from __future__ import annotations

import ctypes
import enum
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

STREAM = 77


class Status(enum.Enum):
    cudaSuccess = 0  # noqa: N815  NVIDIA's names
    cudaErrorMemoryAllocation = 2  # noqa: N815


class Copy(enum.Enum):
    cudaMemcpyHostToDevice = 1  # noqa: N815
    cudaMemcpyDeviceToHost = 2  # noqa: N815


class Mode(enum.Enum):
    cudaStreamCaptureModeThreadLocal = 1  # noqa: N815


class Gpu:
    """Memory, and the queue of one stream: work runs at the wait, unless it is being recorded."""

    def __init__(self, memory: int = 1 << 30) -> None:
        self.free = memory
        self.blocks: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.queue: list[Callable[[], object]] = []
        self.recording: list[Callable[[], object]] | None = None
        self.recorded = 0

    def do(self, work: Callable[[], object], stream: int) -> None:
        assert stream == STREAM
        (self.queue if self.recording is None else self.recording).append(work)

    def check(self, address: int, size: int) -> None:
        assert any(start <= address and address + size <= start + len(block) for start, block in self.blocks.items())


def cuda(gpu: Gpu) -> ModuleType:
    """`cuda.bindings.runtime`."""

    def malloc(size: int) -> tuple[Any, ...]:
        if size > gpu.free:
            return Status.cudaErrorMemoryAllocation, None
        gpu.free -= size
        block = ctypes.create_string_buffer(size)
        gpu.blocks[ctypes.addressof(block)] = block
        return Status.cudaSuccess, ctypes.addressof(block)

    def copy(target: int, source: int, size: int, kind: Copy, stream: int) -> tuple[Status]:
        assert gpu.recording is None
        gpu.check(target if kind is Copy.cudaMemcpyHostToDevice else source, size)
        gpu.do(lambda: ctypes.memmove(target, source, size), stream)
        return (Status.cudaSuccess,)

    def wait(stream: int) -> tuple[Status]:
        assert stream == STREAM
        assert gpu.recording is None
        for work in gpu.queue:
            work()
        gpu.queue.clear()
        return (Status.cudaSuccess,)

    def begin(stream: int, mode: Mode) -> tuple[Status]:
        assert not gpu.queue
        gpu.recording = []
        return (Status.cudaSuccess,)

    def end(stream: int) -> tuple[Any, ...]:
        recording, gpu.recording = gpu.recording, None
        gpu.recorded += 1
        return Status.cudaSuccess, recording

    def launch(program: list[Callable[[], object]], stream: int) -> tuple[Status]:
        for work in program:
            gpu.do(work, stream)
        return (Status.cudaSuccess,)

    module = ModuleType("cuda.bindings.runtime")
    vars(module).update(
        cudaError_t=Status,
        cudaMemcpyKind=Copy,
        cudaStreamCaptureMode=Mode,
        cudaStreamNonBlocking=1,
        cudaSetDevice=lambda ordinal: (Status.cudaSuccess,),
        cudaStreamCreateWithFlags=lambda flags: (Status.cudaSuccess, STREAM),
        cudaMalloc=malloc,
        cudaMemcpyAsync=copy,
        cudaStreamSynchronize=wait,
        cudaStreamBeginCapture=begin,
        cudaStreamEndCapture=end,
        cudaGraphInstantiate=lambda graph, flags: (Status.cudaSuccess, graph),
        cudaGraphLaunch=launch,
    )
    return module


class Context:
    """An `IExecutionContext`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, most = 1, 32
        self._shapes[name] = shape
        return shape[1:] == self._engine.get_tensor_shape(name)[1:] and least <= shape[0] <= most

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        (count,) = {shape[0] for shape in self._shapes.values()}
        return (count, *self._engine.get_tensor_shape(name)[1:])

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        ready = set(self._addresses) == set(self._engine.names)
        self._engine.gpu.do(self._execute, stream)
        return ready

    def _execute(self) -> None:
        session = self._engine.session
        outputs = session.run(None, {node.name: self._array(node.name) for node in session.get_inputs()})
        for node, output in zip(session.get_outputs(), outputs, strict=True):
            self._array(node.name)[...] = output

    def _array(self, name: str) -> np.ndarray[Any, Any]:
        shape, dtype = self.get_tensor_shape(name), np.dtype(self._engine.get_tensor_dtype(name))
        size = int(np.prod(shape)) * dtype.itemsize
        self._engine.gpu.check(self._addresses[name], size)
        memory = (ctypes.c_uint8 * size).from_address(self._addresses[name])
        return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)


class Engine:
    """An `ICudaEngine` whose plan is the ONNX graph itself."""

    def __init__(self, plan: bytes, gpu: Gpu) -> None:
        self.gpu = gpu
        self.session = ort.InferenceSession(plan)
        self._ports = {node.name: node for node in (*self.session.get_inputs(), *self.session.get_outputs())}
        self.names = list(self._ports)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(axis if isinstance(axis, int) else -1 for axis in self._ports[name].shape)

    def get_tensor_dtype(self, name: str) -> type:
        return {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}[self._ports[name].type]

    def create_execution_context(self) -> Context:
        return Context(self)


def tensorrt(gpu: Gpu, refuses: int = 0) -> ModuleType:
    """`tensorrt`. It refuses a number of plans first."""
    left = [refuses]

    class Runtime:
        def __init__(self, logger: object) -> None: ...

        def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
            left[0] -= 1
            return None if left[0] >= 0 else Engine(plan, gpu)

    class Logger:
        ERROR = 1

        def __init__(self, severity: int) -> None: ...

    module = ModuleType("tensorrt")
    module.__spec__ = ModuleSpec("tensorrt", None)
    vars(module).update(__version__="11.0", Runtime=Runtime, Logger=Logger, nptype=lambda kind: kind)
    return module


def install(monkeypatch: pytest.MonkeyPatch, gpu: Gpu, refuses: int = 0) -> None:
    """Install both as importable modules."""
    for name in ("cuda", "cuda.bindings"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda(gpu))
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt(gpu, refuses))
