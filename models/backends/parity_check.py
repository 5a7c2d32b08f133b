"""Checks that a backend agrees with the CPU, in a process of its own (`models/backends/parity_worker.py`), which may
crash without harm."""

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
from models.backends.session import Port, Session, Tensor
from models.errors import ModelError

TOLERANCE = 0.02
"""Largest difference from the CPU as a part of the outputs' range: five levels of 255. Half precision stays well below;
a plan that was built wrongly, or runs on the wrong weights, does not."""
ROWS = 3
"""No bucket: the filling up is probed, too."""
FREE_AXIS = 64
"""Taken for axes other than the batch that are free."""
_PICTURE_AXES = 4
PATIENCE_S = 900.0
"""A plan may have to be built first, and TensorRT tries many kernels for each layer."""


def inputs(ports: Sequence[Port], rows: int = ROWS) -> list[Tensor]:
    """The same noise each time, over the range that the networks know: pictures in 0..255, of bytes or floats; other
    floats in -1..1."""
    random = np.random.default_rng(0)
    return [_noise(random, port, rows) for port in ports]


def _noise(random: np.random.Generator, port: Port, rows: int) -> Tensor:
    batch, *rest = port.shape
    shape = (rows if batch is None else batch, *(FREE_AXIS if axis is None else axis for axis in rest))
    if port.dtype == np.uint8:
        return random.integers(0, 256, shape, np.uint8)
    least, most = (0, 255) if len(shape) == _PICTURE_AXES else (-1, 1)
    return random.uniform(least, most, shape).astype(port.dtype)


def difference(outputs: Sequence[Tensor], references: Sequence[Tensor]) -> float:
    """The largest difference between two runs' outputs, as a part of their range: 255 for uint8, else the reference's
    largest value. Infinite if shapes or types differ, or something is not a number."""
    pairs = list(zip(outputs, references, strict=True))
    if any(ours.shape != theirs.shape or ours.dtype != theirs.dtype for ours, theirs in pairs):
        return float("inf")
    largest = max(_difference(ours, theirs) for ours, theirs in pairs)
    return largest if np.isfinite(largest) else float("inf")


def _difference(ours: Tensor, theirs: Tensor) -> float:
    scale = 255.0 if theirs.dtype == np.uint8 else max(float(np.abs(theirs).max(initial=0)), 1e-6)
    return float(np.abs(ours.astype(np.float64) - theirs).max(initial=0)) / scale


def compare(session: Session, reference: OnnxRuntime) -> float:
    """How far a session is from ONNX Runtime on the CPU, on a probe input."""
    noise = inputs(reference.inputs)
    return difference(session.run(*noise), reference.run(*noise))


def verify_in_subprocess(backend: str, path: Path, patience_s: float = PATIENCE_S) -> None:
    """Load and run a network in another process. Raises ModelError if it fails, crashes, hangs, or is not what the CPU
    gives."""
    rooms = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [rooms, os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-P", "-m", "models.backends.parity_worker", backend, str(path)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=patience_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{backend} did not answer a probe in {patience_s:.0f} s") from error
    if done.returncode < 0:
        raise ModelError(f"{backend} crashed on a probe (signal {-done.returncode})")
    try:
        verdict = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        last = shorten(done.stderr.strip().rpartition("\n")[2], 160)
        raise ModelError(f"{backend} failed on a probe with status {done.returncode}: {last}") from error
    if "error" in verdict:
        raise ModelError(verdict["error"])
    if not verdict["agrees"]:
        raise ModelError(f"{backend} differs from the CPU by {verdict['difference']:.1%} of the range on a probe")
