"""Memory, streams and graphs of an NVIDIA GPU, by NVIDIA's bindings of the CUDA runtime.

PyTorch could do the same, but takes 5 GB and ten seconds to start.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from models.backends.session import Tensor
from models.errors import ModelError


class Device:
    """The first GPU, with its own stream. Not thread-safe.

    Raises ModelError if the bindings are not installed, or if a CUDA call fails.
    """

    def __init__(self) -> None:
        try:
            self._cuda = import_module("cuda.bindings.runtime")
        except ImportError as error:
            raise ModelError("cuda-bindings is not installed: pip install 'unblur[tensorrt]'") from error
        self._call("cudaSetDevice", 0)
        self.stream = int(self._call("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking))

    def use(self) -> None:
        """Make it the calling thread's device: each thread has its own."""
        self._call("cudaSetDevice", 0)

    def allocate(self, size: int) -> int:
        """Allocate `size` bytes on the GPU and return the address; they are kept until the process ends, as sessions
        are."""
        return int(self._call("cudaMalloc", max(size, 1)))

    def upload(self, array: Tensor, address: int) -> None:
        """Queue the copy of a C-contiguous array, which must not change until `wait`."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, self.stream)

    def download(self, address: int, array: Tensor) -> None:
        """Queue the copy into a C-contiguous array, which is filled after `wait`."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, self.stream)

    def wait(self) -> None:
        self._call("cudaStreamSynchronize", self.stream)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record what `work` queues as a CUDA graph, without running it; the returned function queues the whole
        graph."""
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self.stream, mode)
        try:
            work()
        finally:
            graph = self._call("cudaStreamEndCapture", self.stream)
        program = self._call("cudaGraphInstantiate", graph, 0)
        return lambda: self._call("cudaGraphLaunch", program, self.stream)

    def _call(self, function: str, *arguments: Any) -> Any:
        status, *values = getattr(self._cuda, function)(*arguments)
        if status != self._cuda.cudaError_t.cudaSuccess:
            raise ModelError(f"CUDA answers {function} with {status.name}")
        return values[0] if values else None
