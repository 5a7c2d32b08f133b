"""Exports a network for other machines: as ONNX in full and half precision, and as TensorRT plans."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from models.assets import cache
from models.backends import nvidia_driver, parity_check, tensorrt_plans
from models.backends.half_precision import to_float16, to_float32
from models.backends.onnxruntime_backend import OnnxRuntime
from models.backends.tensorrt_plans import Library
from models.errors import ModelError


class Written(NamedTuple):
    """A written file, and a summary of its content."""

    file: Path
    summary: str


def write_onnx(network: Path, folder: Path) -> list[Written]:
    """Write the network with float32 and with float16 weights, after both have run a probe on the CPU.

    Raises ModelError, before anything is written, if the network does not load, its batch is not free, or the two
    differ.
    """
    full = OnnxRuntime(network, threads=1)
    fixed = [port.name for port in full.inputs if port.shape[:1] != (None,)]
    if fixed:
        raise ModelError(f"{network}: the first axis of {', '.join(fixed)} is not free: export it with a dynamic batch")
    smaller = to_float16(network)
    difference = _difference(full, smaller)
    summary = f"differs from float32 by at most {difference:.2%} of the range on a probe, on the CPU"
    return [
        _write(folder / f"{network.stem}-fp32.onnx", to_float32(network), "float32, dynamic batch"),
        _write(folder / f"{network.stem}-fp16.onnx", smaller, f"float16, dynamic batch; {summary}"),
    ]


def write_plan(library: Library, network: Path, folder: Path) -> Written:
    """Write TensorRT's plan of the network in half precision, and run it where there is a GPU.

    Raises ModelError if the library is not installed, builds no plan (TensorRT needs a GPU for it, TensorRT for RTX
    does not), or the GPU does not agree with the CPU.
    """
    tensorrt_plans.require_installed(library)
    content, summary = _plan(library, network)
    return _write(folder / f"{network.stem}-{library}.plan", content, f"all heavy layers in half precision; {summary}")


def _plan(library: Library, network: Path) -> tuple[bytes, str]:
    try:
        gpu = nvidia_driver.gpu()
    except ModelError as error:
        if library == "tensorrt":
            raise
        return tensorrt_plans.build(
            tensorrt_plans.library(library), to_float16(network)
        ), f"never run on a GPU: {error}"
    parity_check.verify_in_subprocess(library, network)
    return tensorrt_plans.plan(
        tensorrt_plans.library(library), to_float16(network), gpu
    ), f"run on {gpu.name}: it agrees with the CPU"


def _difference(full: OnnxRuntime, smaller: bytes) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "half.onnx"
        file.write_bytes(smaller)
        difference = parity_check.compare(OnnxRuntime(file, threads=1), full)
    if difference > parity_check.TOLERANCE:
        raise ModelError(f"in half precision the network differs by {difference:.1%} of the range: nothing is written")
    return difference


def _write(file: Path, content: bytes, summary: str) -> Written:
    cache.write(file, content)
    return Written(file, f"{len(content):,} bytes, {summary}")
