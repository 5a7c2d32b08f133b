"""Checks that a backend agrees with the CPU, in a subprocess (`models/backends/parity_worker.py`), which may crash
without harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import numpy as np

from models.backends.onnxruntime_backend import OnnxRuntime
from models.backends.session import NetworkSession, Port, Tensor
from models.errors import ModelError

TOLERANCE = 0.02
"""Largest difference from the CPU as a part of the outputs' range: five levels of 255. Half precision stays well below;
a plan that was built wrongly, or runs on the wrong weights, does not."""
ROWS = 3
"""Not a bucket, so that padding is tested, too."""
FREE_AXIS = 64
"""Size of free axes other than the batch."""
_PICTURE_AXES = 4
PATIENCE_S = 900.0
"""A plan may have to be built first, and TensorRT tries many kernels for each layer."""


def inputs(ports: Sequence[Port], rows: int = ROWS) -> list[Tensor]:
    """Generate the same noise each time, in the range of the networks' inputs: images in 0..255, of bytes or floats;
    other floats in -1..1."""
    random = np.random.default_rng(0)
    return [_noise(random, port, rows) for port in ports]


def _noise(random: np.random.Generator, port: Port, rows: int) -> Tensor:
    batch, *rest = port.shape
    shape = (rows if batch is None else batch, *(FREE_AXIS if axis is None else axis for axis in rest))
    if port.dtype == np.uint8:
        return random.integers(0, 256, shape, np.uint8)
    low, high = (0, 255) if len(shape) == _PICTURE_AXES else (-1, 1)
    return random.uniform(low, high, shape).astype(port.dtype)


def difference(outputs: Sequence[Tensor], references: Sequence[Tensor]) -> float:
    """Compute the largest difference between two runs' outputs, relative to their range: 255 for uint8, else the
    reference's largest value. Infinite if shapes or types differ, or a value is not finite."""
    pairs = list(zip(outputs, references, strict=True))
    if any(output.shape != reference.shape or output.dtype != reference.dtype for output, reference in pairs):
        return float("inf")
    largest = max(_difference(output, reference) for output, reference in pairs)
    return largest if np.isfinite(largest) else float("inf")


def _difference(output: Tensor, reference: Tensor) -> float:
    scale = 255.0 if reference.dtype == np.uint8 else max(float(np.abs(reference).max(initial=0)), 1e-6)
    return float(np.abs(output.astype(np.float64) - reference).max(initial=0)) / scale


def compare(session: NetworkSession, reference: OnnxRuntime) -> float:
    """Compare a session with ONNX Runtime on the CPU, on a probe input; returns the `difference`."""
    noise = inputs(reference.inputs)
    return difference(session.run(*noise), reference.run(*noise))


def verify_in_subprocess(backend: str, path: Path, patience_s: float = PATIENCE_S) -> None:
    """Load and run a network in a subprocess. Raises ModelError if it fails, crashes, hangs, or differs from the
    CPU."""
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-P", "-m", "models.backends.parity_worker", backend, str(path)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=patience_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{backend} did not answer a probe in {patience_s:.0f} s") from error
    if done.returncode < 0:
        raise ModelError(f"{backend} crashed on a probe (signal {-done.returncode})")
    try:
        result = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        last = shorten(done.stderr.strip().rpartition("\n")[2], 160)
        raise ModelError(f"{backend} failed on a probe with status {done.returncode}: {last}") from error
    if "error" in result:
        raise ModelError(result["error"])
    if not result["agrees"]:
        raise ModelError(f"{backend} differs from the CPU by {result['difference']:.1%} of the range on a probe")
