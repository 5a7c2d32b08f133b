from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.backends.batching import BUCKETS, run_padded, run_split
from models.backends.session import Tensor

Ways = Callable[[Callable[[Sequence[Tensor]], list[Tensor]], Sequence[Tensor]], list[Tensor]]


class Network:
    """Adds its two inputs by row, and records the batch sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        rows, offsets = inputs
        self.sizes.append(len(rows))
        return [rows + offsets[:, None], offsets]


@pytest.mark.parametrize("run", [run_padded, run_split])
@given(count=st.integers(0, 100))
def test_every_row_comes_back_in_its_place_whatever_the_batch(run: Ways, count: int) -> None:
    rows = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
    offsets = np.arange(count, dtype=np.float32)
    network = Network()

    sums, same = run(network, [rows, offsets])

    np.testing.assert_array_equal(sums, rows + offsets[:, None])
    np.testing.assert_array_equal(same, offsets)
    assert set(network.sizes) <= set(BUCKETS)


def test_filling_up_takes_few_passes_and_cutting_up_computes_nothing_in_vain() -> None:
    inputs = [np.ones((37, 3), np.float32), np.ones(37, np.float32)]
    few, lean = Network(), Network()
    run_padded(few, inputs)
    run_split(lean, inputs)

    assert few.sizes == [32, 8]
    assert lean.sizes == [32, 4, 1]
