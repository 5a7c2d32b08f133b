"""Batches of a few fixed sizes, for backends that compile or capture each shape separately."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from models.backends.session import Tensor

BUCKETS = (1, 2, 4, 8, 16, 32)

Forward = Callable[[Sequence[Tensor]], list[Tensor]]


def run_padded(run: Forward, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run batches filled up with zeros to the next bucket: one pass, where a pass costs more than a row (a GPU).

    The outputs of the zeros are cut off; a batch beyond the largest bucket is run in parts.
    """
    count, largest = len(inputs[0]), BUCKETS[-1]
    parts = [
        _run_bucket(run, [rows[start : start + largest] for rows in inputs])
        for start in range(0, max(count, 1), largest)
    ]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def run_split(run: Forward, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run a batch in parts that are buckets, largest first: no padding, where each row costs (a CPU)."""
    count, start, parts = len(inputs[0]), 0, []
    if not count:
        return run_padded(run, inputs)
    while start < count:
        size = max(bucket for bucket in BUCKETS if bucket <= count - start)
        parts.append(run([rows[start : start + size] for rows in inputs]))
        start += size
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def _run_bucket(run: Forward, inputs: Sequence[Tensor]) -> list[Tensor]:
    count = len(inputs[0])
    missing = min(bucket for bucket in BUCKETS if bucket >= count) - count
    rows = [np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) for array in inputs]
    return [output[:count] for output in run(rows)]
