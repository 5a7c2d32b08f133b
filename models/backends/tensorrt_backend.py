"""Runs a plan of TensorRT, or TensorRT for RTX, on the GPU.

Uses the documented interface of TensorRT 10 and 11 and TensorRT for RTX 1.7: `execute_async_v3` on its own stream, with
buffers of constant addresses. Written without a GPU: see docs/design/runtime.md.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from models.backends import batching, tensorrt_plans
from models.backends.cuda_device import Device
from models.backends.nvidia_driver import Gpu, gpu
from models.backends.session import Tensor
from models.backends.tensorrt_plans import Library
from models.errors import ModelError

GRAPHS = "UNBLUR_CUDA_GRAPHS"
"""Set to 1, the work of each batch size is recorded once and replayed: quicker to queue, but some drivers hang."""


class TensorRtSession:
    """A network as a TensorRT plan in half precision. Loading it builds the plan, if the cache does not have it.

    Raises ModelError if no driver answers, the library is missing, or the plan does not load or run.
    """

    def __init__(self, name: Library, path: Path) -> None:
        self.backend = name
        from models.backends.half_precision import ports, to_float16  # noqa: PLC0415  it loads onnx, which no other backend needs

        machine = gpu()
        network = to_float16(path)
        self._ports = ports(network)
        self._trt = tensorrt_plans.library(name)
        self._runtime = self._trt.Runtime(self._trt.Logger(self._trt.Logger.ERROR))  # must outlive its engines
        self.plan_sha256 = ""
        """sha256 of the loaded plan, 64 hexadecimal digits."""
        self._engine = self._load(network, machine)
        self._device = Device()
        self._context_for = lru_cache(len(batching.BUCKETS))(self._create_context)
        self._lock = threading.Lock()

    @property
    def names(self) -> Sequence[str]:
        return self._ports[0]

    def run(self, *inputs: Tensor) -> list[Tensor]:
        with self._lock:
            self._device.use()
            return batching.run_padded(lambda rows: self._context_for(len(rows[0])).run(rows), inputs)

    def _load(self, network: bytes, machine: Gpu) -> Any:
        """Load the plan as an engine. A plan that the library refuses is built again, once."""
        for _ in range(2):
            plan = tensorrt_plans.plan(self._trt, network, machine)
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is not None:
                self.plan_sha256 = hashlib.sha256(plan).hexdigest()
                return engine
            tensorrt_plans.discard(self._trt, network, machine)
        raise ModelError(f"{self.backend} does not load the plan that it built")

    def _create_context(self, count: int) -> _ExecutionContext:
        return _ExecutionContext(self._trt, self._engine, self._device, self._ports, count)


class _ExecutionContext:
    """Execution context of one batch size and its buffers, whose addresses stay, so that a graph can be replayed."""

    def __init__(
        self, trt: ModuleType, engine: Any, device: Device, ports: tuple[list[str], list[str]], count: int
    ) -> None:
        self._device = device
        self._graphs = os.environ.get(GRAPHS) == "1"
        self._context = _context(trt, engine, self._graphs)
        self._inputs, self._outputs = ports
        for name in self._inputs:
            shape = (count, *tuple(engine.get_tensor_shape(name))[1:])
            _require(self._context.set_input_shape(name, shape), f"takes no {name} of {shape}")
        self._arrays = {name: self._buffer(trt, engine, name) for name in (*self._inputs, *self._outputs)}
        self._addresses = {name: device.allocate(array.nbytes) for name, array in self._arrays.items()}
        for name, address in self._addresses.items():
            _require(self._context.set_tensor_address(name, address), f"takes no address for {name}")
        self._start = self._prepare(trt)

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        for name, rows in zip(self._inputs, inputs, strict=True):
            np.copyto(self._arrays[name], rows, casting="no")
            self._device.upload(self._arrays[name], self._addresses[name])
        self._start()
        for name in self._outputs:
            self._device.download(self._addresses[name], self._arrays[name])
        self._device.wait()
        return [self._arrays[name].copy() for name in self._outputs]

    def _buffer(self, trt: ModuleType, engine: Any, name: str) -> Tensor:
        """Allocate an array of the tensor's shape, which TensorRT knows for outputs once all inputs have theirs."""
        return np.zeros(tuple(self._context.get_tensor_shape(name)), trt.nptype(engine.get_tensor_dtype(name)))

    def _prepare(self, trt: ModuleType) -> Callable[[], None]:
        """Return the function that starts a run. TensorRT for RTX records graphs itself; for TensorRT they are recorded
        here, after a first run with the allocations that a recording must not have."""
        if not self._graphs or hasattr(trt, "CudaGraphStrategy"):
            return self._enqueue
        self._enqueue()
        self._device.wait()
        return self._device.capture(self._enqueue)

    def _enqueue(self) -> None:
        _require(self._context.execute_async_v3(self._device.stream), "does not run the plan")


def _context(trt: ModuleType, engine: Any, graphs: bool) -> Any:
    if not (graphs and hasattr(trt, "CudaGraphStrategy")):
        context = engine.create_execution_context()
    else:
        config = engine.create_runtime_config()
        config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        context = engine.create_execution_context(config)
    _require(context is not None, "makes no execution context: too little memory on the GPU?")
    return context


def _require(succeeded: bool, refusal: str) -> None:
    if not succeeded:
        raise ModelError(f"TensorRT {refusal}")
