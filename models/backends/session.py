"""What a loaded network is to those who use it, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]
"""One input or output of a network: the batch first, of the graph's own type."""


class Port(NamedTuple):
    """One input of a network. Axes that are free are None; the batch comes first."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


class Session(Protocol):
    """A loaded network. Safe to call from several threads at once."""

    @property
    def backend(self) -> str: ...
    @property
    def names(self) -> Sequence[str]:
        """Its inputs, in the graph's order."""
        ...

    def run(self, *inputs: Tensor) -> list[Tensor]:
        """One forward pass: an array for each input to an array for each output, both in the graph's order.

        All arrays hold the batch first; what a row gives does not depend on the rows beside it.
        Raises ModelError if the backend fails.
        """
        ...
