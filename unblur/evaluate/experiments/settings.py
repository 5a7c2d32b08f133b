"""What is evaluated, for the commands that share these options."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from models.backends.selection import Backend
from unblur.evaluate.data.datasets import Split

Job = TypeVar("Job")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Settings:
    """`data` is a folder laid out like the project's shared data. All conditions and methods unless some are named; of
    the faces, or people, each `every`-th. `network` is judged in place of the one that comes with unblur."""

    data: Path
    split: Split = "test"
    seed: int = 0
    every: int = 1
    conditions: Sequence[str] = ()
    methods: Sequence[str] = ()
    backend: Backend = "auto"
    network: Path | None = None


def side_by_side(work: Callable[[Job], Done], jobs: Iterable[Job]) -> Iterator[Done]:
    """The results in order. One thread a core: arithmetic releases the interpreter's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            yield from pool.map(work, jobs)
        finally:
            pool.shutdown(cancel_futures=True)
