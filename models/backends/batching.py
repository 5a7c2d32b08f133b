"""Batches of a few fixed sizes, for backends that prepare themselves for every shape.

Without them each number of faces in a picture would be compiled for, or captured, on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from models.backends.session import Tensor

BUCKETS = (1, 2, 4, 8, 16, 32)

Forward = Callable[[Sequence[Tensor]], list[Tensor]]


def run_padded(run: Forward, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run batches filled up with zeros to the next bucket: one pass, where a pass costs more than a row (a GPU).

    What came of the zeros is cut off again; a batch beyond the largest bucket is run in parts.
    """
    count, largest = len(inputs[0]), BUCKETS[-1]
    parts = [
        _run_filled(run, [rows[start : start + largest] for rows in inputs])
        for start in range(0, max(count, 1), largest)
    ]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def run_split(run: Forward, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run a batch in parts that are buckets, largest first: nothing in vain, where each row costs (a CPU)."""
    count, start, parts = len(inputs[0]), 0, []
    if not count:
        return run_padded(run, inputs)
    while start < count:
        size = max(bucket for bucket in BUCKETS if bucket <= count - start)
        parts.append(run([rows[start : start + size] for rows in inputs]))
        start += size
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def _run_filled(run: Forward, inputs: Sequence[Tensor]) -> list[Tensor]:
    count = len(inputs[0])
    missing = min(bucket for bucket in BUCKETS if bucket >= count) - count
    rows = [np.concatenate([given, np.zeros((missing, *given.shape[1:]), given.dtype)]) for given in inputs]
    return [output[:count] for output in run(rows)]
