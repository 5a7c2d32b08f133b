"""Interface of a loaded network, for all backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[Any]
"""One input or output of a network: the batch first, in the type of the graph."""


class Port(NamedTuple):
    """One input of a network. Axes that are free are None; the batch comes first."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


class NetworkSession(Protocol):
    """A loaded network. Thread-safe."""

    @property
    def backend(self) -> str: ...
    @property
    def names(self) -> Sequence[str]:
        """Names of the inputs, in the graph's order."""
        ...

    def run(self, *inputs: Tensor) -> list[Tensor]:
        """Run one forward pass: an array for each input to an array for each output, both in the graph's order.

        The batch is the first axis of all arrays; a row's result does not depend on the other rows.
        Raises ModelError if the backend fails.
        """
        ...
